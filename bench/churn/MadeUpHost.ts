/**
 * A made-up member that can be reached: a host on the mesh's network with an identity of its own,
 * which answers pings and keeps connections as every node does, and holds no catalogue.
 */
import { Effect, Layer, type Scope } from "effect"
import { ConnectionKeeper } from "../../src/mesh/host/ConnectionKeeper.ts"
import type { HostError } from "../../src/mesh/host/HostError.ts"
import { makeLibp2pTransport } from "../../src/mesh/host/Libp2pTransport.ts"
import { type MeshHostShape, makeMeshHost } from "../../src/mesh/host/MeshHost.ts"
import { MeshRpc, MeshRpcError } from "../../src/mesh/host/MeshRpc.ts"
import { type MeshRpcClients, makeMeshRpcClients } from "../../src/mesh/host/MeshRpcClients.ts"
import { serveMeshRpc } from "../../src/mesh/host/MeshRpcServer.ts"
import { PeerClocks } from "../../src/mesh/membership/PeerClocks.ts"
import { type AnswerPing, Pings } from "../../src/mesh/membership/Pings.ts"
import { makeAdmission } from "../../src/mesh/trust/Admission.ts"
import { AdmittedPeers } from "../../src/mesh/trust/AdmittedPeers.ts"
import type { PeerKey } from "../../src/model/Names.ts"
import { makeSystemTicker } from "../../src/node/SystemTicker.ts"
import { denialOf, type MadeUpMember } from "./MadeUpMembers.ts"

export interface MadeUpHost {
  readonly host: MeshHostShape
  readonly keeper: ConnectionKeeper
  readonly clients: MeshRpcClients
}

const refuse = Effect.fail(
  new MeshRpcError({ code: "refused", message: "a made-up member does not do that" })
)

/** What it says when it is pinged. Accused by a node that had to wait too long, it denies that. */
const answerPing =
  (member: MadeUpMember): AnswerPing =>
  (_from, accused, reply) => {
    const alive = accused === undefined ? undefined : denialOf(member, accused)
    reply({ incarnation: member.incarnation, alive })
  }

/** What it says when it is asked: that there is nothing to compare. */
const answers = MeshRpc.toLayer({
  Probe: () => Effect.succeed({ reachable: true }),
  MembershipEvidence: () => Effect.succeed([]),
  CatalogueDigest: () => Effect.succeed({ same: true, buckets: [] }),
  CatalogueBuckets: () => Effect.succeed([]),
  CatalogueExchange: () => Effect.succeed([]),
  RenewCertificate: () => refuse,
  NewSession: () => refuse,
  DialBack: () => refuse,
  PeerStatus: () => refuse,
  AccessUse: () => refuse,
  ActorStatus: () => refuse,
  DrainNotice: () => Effect.void
})

/** Listens on loopback, and writes down in the member where. `addressesOf`: whom it may call. */
export const startMadeUpHost = (
  member: MadeUpMember,
  addressesOf: (peer: PeerKey) => ReadonlyArray<string>
): Effect.Effect<MadeUpHost, HostError, Scope.Scope> =>
  Effect.gen(function* () {
    const { identity } = member
    const host = yield* makeMeshHost({
      privateKey: identity.privateKey,
      mesh: identity.mesh,
      listen: ["/ip4/127.0.0.1/tcp/0"],
      encrypter: makeAdmission({
        identity: { current: identity },
        admitted: new AdmittedPeers(),
        now: Date.now
      })
    })
    const transport = makeLibp2pTransport(host)
    const ticker = yield* makeSystemTicker
    const keeper = yield* Effect.acquireRelease(
      Effect.sync(() => new ConnectionKeeper({ host, ticker, addressesOf })),
      (it) => Effect.sync(() => it.stop())
    )
    const clients = yield* makeMeshRpcClients({ transport, addressesOf })
    const scope = yield* Effect.scope
    const pings = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const clocks = new PeerClocks(ticker)
        const connect = (peer: PeerKey) => keeper.reach(peer)
        return new Pings({ transport, ticker, clocks, addressesOf, connect })
      }),
      (it) => Effect.sync(() => it.stop())
    )
    yield* Effect.promise(() => pings.listen(answerPing(member)))
    yield* Layer.buildWithScope(serveMeshRpc(transport).pipe(Layer.provide(answers)), scope)
    member.addresses = host.addresses()
    return { host, keeper, clients }
  })
