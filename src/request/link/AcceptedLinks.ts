/** The links that other nodes have opened to this one. */
import type { PeerKey } from "../../model/Names.ts"
import { Waiters } from "../../model/Waiters.ts"
import { AcceptedLink, type AcceptedLinkOptions } from "./AcceptedLink.ts"

export class AcceptedLinks {
  readonly #open = new Set<AcceptedLink>()
  readonly #waiters = new Waiters()
  #draining: string | undefined = undefined

  /** Exchanges that run on them now. */
  get serving(): number {
    let running = 0
    for (const link of this.#open) running += link.stats().exchanges
    return running
  }

  /** A copy: what is done to a link may remove it. */
  all(): ReadonlyArray<AcceptedLink> {
    return [...this.#open]
  }

  add(options: Omit<AcceptedLinkOptions, "onDown">): void {
    const link: AcceptedLink = new AcceptedLink({ ...options, onDown: () => this.#delete(link) })
    this.#open.add(link)
    if (this.#draining !== undefined) link.drain(this.#draining)
  }

  /** Asks every peer to open nothing more, also those that come later. What runs goes on. */
  drain(reason: string): void {
    this.#draining = reason
    for (const link of this.all()) link.drain(reason)
  }

  /** Breaks those of one peer, or all. */
  abort(error: Error, peer?: PeerKey): void {
    for (const link of this.all()) {
      if (peer === undefined || link.remote === peer) link.abort(error)
    }
  }

  /**
   * Calls back when there is none, at once if so now; returns how to stop waiting. After `drain`
   * that means that each peer has all it was answered: what is over for this node may still wait
   * here, for a turn or for a slow reader.
   */
  whenServed(then: () => void): () => void {
    const stop = this.#waiters.add(then)
    if (this.#open.size === 0) this.#waiters.wake()
    return stop
  }

  #delete(link: AcceptedLink): void {
    this.#open.delete(link)
    if (this.#open.size === 0) this.#waiters.wake()
  }
}
