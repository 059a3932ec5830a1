/** A listener that says where it is open, not only what that is called by others. */
import type { Listener } from "@libp2p/interface"
import type { Multiaddr } from "@multiformats/multiaddr"

export interface BoundListener extends Listener {
  /** The address it was told, with the port it got. Undefined: it is not open. */
  readonly bound: Multiaddr | undefined
}

export const isBound = (listener: Listener): listener is BoundListener => "bound" in listener
