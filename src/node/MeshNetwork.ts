/**
 * What carries the words of the mesh plane: libp2p, in which only those are heard whom the door lets in, the
 * connections that are kept and made through it, and on them questions and gossip.
 */
import { Context, Effect, Layer, type Scope } from "effect"
import type { NodeConfig } from "../config/NodeConfig.ts"
import { CallBacks } from "../mesh/host/CallBacks.ts"
import { ConnectionKeeper } from "../mesh/host/ConnectionKeeper.ts"
import { Gossip } from "../mesh/host/Gossip.ts"
import type { HostError } from "../mesh/host/HostError.ts"
import { layerLibp2p } from "../mesh/host/Libp2pGossip.ts"
import { makeLibp2pTransport } from "../mesh/host/Libp2pTransport.ts"
import {
  MeshHost,
  type MeshHostOptions,
  type MeshHostShape,
  makeMeshHost
} from "../mesh/host/MeshHost.ts"
import { type MeshRpcClients, makeMeshRpcClients } from "../mesh/host/MeshRpcClients.ts"
import { type RelayGate, RelayListener } from "../mesh/host/RelayListener.ts"
import type { RpcTransport } from "../mesh/host/RpcTransport.ts"
import type { IdentityCell } from "../mesh/trust/NodeIdentity.ts"
import type { PeerConduct } from "../mesh/trust/PeerConduct.ts"
import type { OnDefect } from "../model/Defect.ts"
import type { PeerKey } from "../model/Names.ts"
import type { Ticker } from "../model/Time.ts"
import type { LinkKeeper } from "./LinkKeeper.ts"

export interface MeshNetworkOptions {
  readonly node: NodeConfig["node"]
  readonly identity: IdentityCell
  readonly ticker: Ticker
  readonly conduct: PeerConduct
  /** Encrypts, and lets in. */
  readonly encrypter: MeshHostOptions["encrypter"]
  /** The node's port, which request threads have open. */
  readonly gate: RelayGate
  /** The port is in a thread that others keep busy: who connects is called back (CallBacks.ts). */
  readonly callsBack: boolean
  /** Nodes at a time that connect and have not shown yet who they are. Default 512. */
  readonly maxPending: number | undefined
  /** Who knows where peers can be dialled; undefined: nobody yet. */
  readonly addressBook: () => Pick<LinkKeeper, "addressesOf"> | undefined
  /** 0 (healthy) to 8: how far this node doubts its own judgement of others. */
  readonly doubt: () => number
  readonly onDefect: OnDefect
}

export interface MeshNetwork {
  readonly host: MeshHostShape
  readonly transport: RpcTransport
  readonly keeper: ConnectionKeeper
  readonly clients: MeshRpcClients
  readonly gossip: Gossip["Type"]
  /** Where a peer can be dialled. */
  readonly addressesOf: (peer: PeerKey) => ReadonlyArray<string>
}

/** Peers may knock as soon as the host listens, before this is done. */
export const makeMeshNetwork = (
  options: MeshNetworkOptions
): Effect.Effect<MeshNetwork, HostError, Scope.Scope> =>
  Effect.gen(function* () {
    const { addressBook, conduct, identity, node, onDefect, ticker } = options
    const addressesOf = (peer: PeerKey): ReadonlyArray<string> =>
      addressBook()?.addressesOf(peer) ?? []
    let callBacks: CallBacks | undefined
    const host: MeshHostShape = yield* makeMeshHost({
      privateKey: identity.current.privateKey,
      mesh: identity.current.mesh,
      listen: node.listen,
      ...(node.announce === undefined ? {} : { announce: node.announce }),
      maxPending: options.maxPending,
      conduct,
      // Before it is known who has which address, nobody can be called back: they call again.
      ...(options.callsBack && {
        callsBack: (peer) => addressBook() === undefined || (callBacks?.instead(peer) ?? false)
      }),
      makeListener: (upgrader, logger) => new RelayListener(upgrader, logger, options.gate),
      encrypter: options.encrypter
    })
    const transport = makeLibp2pTransport(host)
    const keeper = yield* Effect.acquireRelease(
      Effect.sync(
        () =>
          new ConnectionKeeper({
            ...{ host, ticker, addressesOf, onDefect },
            doubt: options.doubt
          })
      ),
      (it) => Effect.sync(() => it.stop())
    )
    callBacks = new CallBacks({
      ticker,
      isKnown: (peer) => addressesOf(peer).length > 0,
      upFor: (peer) => keeper.upFor(peer),
      call: (peer) => keeper.connect(peer)
    })
    const clients = yield* makeMeshRpcClients({ transport, addressesOf })
    const gossip = Context.get(
      yield* Layer.build(Layer.provide(layerLibp2p(conduct), Layer.succeed(MeshHost, host))),
      Gossip
    )
    return { host, transport, keeper, clients, gossip, addressesOf }
  })
