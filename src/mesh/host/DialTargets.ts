/** The addresses of a peer, as libp2p dials them. */
import { type Multiaddr, multiaddr } from "@multiformats/multiaddr"
import type { PeerKey } from "../../model/Names.ts"
import { reasonOf } from "./HostError.ts"
import { withoutPeer } from "./MeshHost.ts"

/** What can be dialled of it; throws when that is nothing. */
export const targetsOf = (peer: PeerKey, addresses: ReadonlyArray<string>): Array<Multiaddr> => {
  const targets: Array<Multiaddr> = []
  let why = "no address of the node is known"
  for (const address of addresses) {
    try {
      targets.push(multiaddr(`${withoutPeer(address)}/p2p/${peer}`))
    } catch (cause) {
      why = `${JSON.stringify(address)} cannot be dialled: ${reasonOf(cause)}`
    }
  }
  if (targets.length === 0) throw new Error(why)
  return targets
}
