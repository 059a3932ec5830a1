/** When this node's catalogue was last compared with another's, and when both were last equal. */
import type { PeerKey } from "../../model/Names.ts"

/** Peers remembered; the one not compared with for longest gives way. */
export const maxCompared = 1_024

export interface Compared {
  /** Monotonic ms, of the last time both said what they hold. */
  readonly at: number
  /** Monotonic ms, of the last time that was the same; undefined: it never was. */
  readonly equalAt: number | undefined
}

export class SyncBook {
  readonly #compared = new Map<PeerKey, Compared>()
  #equalAt: number | undefined

  note(peer: PeerKey, same: boolean, now: number): void {
    const equalAt = same ? now : this.#compared.get(peer)?.equalAt
    this.#compared.delete(peer)
    if (this.#compared.size >= maxCompared) {
      const [oldest] = this.#compared.keys()
      if (oldest !== undefined) this.#compared.delete(oldest)
    }
    this.#compared.set(peer, { at: now, equalAt })
    if (same) this.#equalAt = now
  }

  of(peer: PeerKey): Compared | undefined {
    return this.#compared.get(peer)
  }

  /** Monotonic ms when it was last equal to that of any other; undefined: never. */
  get equalAt(): number | undefined {
    return this.#equalAt
  }
}
