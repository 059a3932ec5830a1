/** The admitted connections that are open, by peer: where links find the way to theirs. */
import type { PeerKey } from "../../model/Names.ts"
import type { Lane } from "./Lane.ts"
import type { SealedConnection } from "./SealedConnection.ts"

export class SealedConnections {
  readonly #byPeer = new Map<PeerKey, Array<SealedConnection>>()
  readonly #handlers = new Map<string, (peer: PeerKey, lane: Lane) => void>()

  /** Until it closes. */
  add(peer: PeerKey, connection: SealedConnection): void {
    const known = this.#byPeer.get(peer)
    if (known === undefined) this.#byPeer.set(peer, [connection])
    else known.push(connection)
    connection.onLane = (protocol, lane) => {
      const handler = this.#handlers.get(protocol)
      handler?.(peer, lane)
      return handler !== undefined
    }
    connection.addEventListener("close", () => this.#remove(peer, connection), { once: true })
  }

  /** A lane on any connection with the peer, the newest first. Undefined: there is none with room. */
  open(peer: PeerKey, protocol: string): Lane | undefined {
    const connections = this.#byPeer.get(peer) ?? []
    for (let i = connections.length - 1; i >= 0; i--) {
      const lane = connections[i]!.openLane(protocol)
      if (lane !== undefined) return lane
    }
    return undefined
  }

  /** Who takes the lanes that peers open; its events must be set before `accept` returns. */
  handle(protocol: string, accept: (peer: PeerKey, lane: Lane) => void): () => void {
    this.#handlers.set(protocol, accept)
    return () => this.#handlers.delete(protocol)
  }

  #remove(peer: PeerKey, connection: SealedConnection): void {
    const left = this.#byPeer.get(peer)?.filter((it) => it !== connection) ?? []
    if (left.length === 0) this.#byPeer.delete(peer)
    else this.#byPeer.set(peer, left)
  }
}
