/** Who has asked this node to wait before it connects, and until when. */
import type { PeerKey } from "../model/Names.ts"

/** Peers remembered; the one that was told of first gives way. They ask for a few seconds at most. */
export const maxBusy = 1_024

export class BusyPeers {
  readonly #now: () => number
  /** Monotonic ms. */
  readonly #until = new Map<PeerKey, number>()

  /** `now`: monotonic, ms. */
  constructor(now: () => number) {
    this.#now = now
  }

  told(peer: PeerKey, retryAfter: number): void {
    this.#until.delete(peer)
    if (this.#until.size >= maxBusy) {
      const [oldest] = this.#until.keys()
      if (oldest !== undefined) this.#until.delete(oldest)
    }
    this.#until.set(peer, this.#now() + retryAfter)
  }

  readonly isBusy = (peer: PeerKey): boolean => (this.#until.get(peer) ?? 0) > this.#now()
}
