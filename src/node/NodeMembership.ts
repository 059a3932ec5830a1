/** Membership of this node, wired: by which pings and questions it judges others, and who hears whom it accuses. */
import { Effect, type Scope } from "effect"
import type { Supervisor } from "../mesh/actor/Supervisor.ts"
import { Gossip } from "../mesh/host/Gossip.ts"
import { makeMembershipPort } from "../mesh/membership/MembershipPort.ts"
import { type MembershipShape, makeMembership } from "../mesh/membership/MembershipService.ts"
import type { PeerClocks } from "../mesh/membership/PeerClocks.ts"
import { Pings } from "../mesh/membership/Pings.ts"
import { makeStatementDoor } from "../mesh/membership/Statement.ts"
import type { EnvelopeCache } from "../mesh/trust/Envelope.ts"
import type { IdentityCell } from "../mesh/trust/NodeIdentity.ts"
import type { PeerConduct } from "../mesh/trust/PeerConduct.ts"
import type { RevocationsCell } from "../mesh/trust/Revocations.ts"
import type { PeerKey } from "../model/Names.ts"
import type { Ticker } from "../model/Time.ts"
import type { MetricRegistry } from "../request/cells/Metrics.ts"
import { AccusationLog } from "./AccusationLog.ts"
import type { ClockReport } from "./ClockReport.ts"
import type { MeshNetwork } from "./MeshNetwork.ts"

export interface NodeMembershipOptions {
  readonly identity: IdentityCell
  readonly network: MeshNetwork
  readonly revocations: RevocationsCell
  /** Of what was opened and checked already. */
  readonly cache: EnvelopeCache
  readonly conduct: PeerConduct
  readonly clocks: PeerClocks
  readonly clockReport: ClockReport
  readonly nameOf: (peer: PeerKey) => string
  readonly metrics: MetricRegistry
  readonly ticker: Ticker
}

export interface NodeMembership {
  readonly membership: MembershipShape
  /** Others' pings are answered, until the scope closes. */
  readonly answerPings: Effect.Effect<void, never, Scope.Scope>
}

export const makeNodeMembership = (
  options: NodeMembershipOptions
): Effect.Effect<NodeMembership, never, Scope.Scope | Supervisor> =>
  Effect.gen(function* () {
    const { cache, clockReport, clocks, identity, metrics, nameOf, revocations, ticker } = options
    const { addressesOf, clients, gossip, keeper, transport } = options.network
    const pings = yield* Effect.acquireRelease(
      Effect.sync(
        () =>
          new Pings({
            transport,
            ticker,
            clocks,
            addressesOf,
            connect: (peer) => keeper.reach(peer)
          })
      ),
      (it) => Effect.sync(() => it.stop())
    )
    const accusations = yield* AccusationLog.make({
      metrics,
      nameOf,
      now: () => ticker.now()
    })
    const membership = yield* makeMembership({
      ...{ self: identity.current.peer, conduct: options.conduct, ticker },
      name: identity.current.name,
      door: makeStatementDoor(
        identity,
        cache,
        ({ peer, message }) => clockReport.add({ peer, what: "statement", message }),
        revocations
      ),
      port: makeMembershipPort(pings, clients),
      onAccused: accusations.add,
      onGivenUp: (peer) => keeper.disconnect(peer, new Error("it has not answered for too long"))
    }).pipe(Effect.provideService(Gossip, gossip))
    return {
      membership,
      answerPings: Effect.asVoid(
        Effect.acquireRelease(
          Effect.promise(() => pings.listen(membership.answerPing)),
          (stop) => Effect.promise(stop)
        )
      )
    }
  })
