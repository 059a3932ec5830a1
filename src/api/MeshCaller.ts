/**
 * What an Effect program needs of a node to call services: the outbound stack's entrance and who
 * is calling. A running node provides it; a test provides any `Dispatch`.
 */
import { Context, Effect, Layer } from "effect"
import { type Caller, serviceCaller } from "../model/Caller.ts"
import type { Dispatch } from "../model/Exchange.ts"
import type { PeerKey, ServiceName } from "../model/Names.ts"

export class MeshCaller extends Context.Tag("skein/api/MeshCaller")<
  MeshCaller,
  {
    readonly dispatch: Dispatch
    readonly peer: PeerKey
    /** Who calls speak for. Default: the host, called by its key. */
    readonly identity?: Caller | undefined
  }
>() {
  /**
   * The same for calls in the name of a service, in place of the host's. The node's certificate has to
   * grant it (`skein invite --as orders`, or the service among those it may offer), or each call fails
   * with `denied`.
   */
  static readonly as = (service: ServiceName): Layer.Layer<MeshCaller, never, MeshCaller> =>
    Layer.effect(
      MeshCaller,
      Effect.map(MeshCaller, (caller) => ({ ...caller, identity: serviceCaller(service) }))
    )
}
