/**
 * What an Effect program needs of a node to call services: the outbound stack's entrance and who
 * is calling. A running node provides it; a test provides any `Dispatch`.
 */
import { Context } from "effect"
import type { Caller } from "../model/Caller.ts"
import type { Dispatch } from "../model/Exchange.ts"
import type { PeerKey } from "../model/Names.ts"

export class MeshCaller extends Context.Tag("skein/api/MeshCaller")<
  MeshCaller,
  {
    readonly dispatch: Dispatch
    readonly peer: PeerKey
    /** Who calls speak for. Default: the host, called by its key. */
    readonly identity?: Caller | undefined
  }
>() {}
