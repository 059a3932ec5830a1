/** The links that other nodes have opened to this one. */
import { Effect } from "effect"
import type { PeerKey } from "../../model/Names.ts"
import { AcceptedLink, type AcceptedLinkOptions } from "./AcceptedLink.ts"

export class AcceptedLinks {
  readonly #open = new Set<AcceptedLink>()
  readonly #waiters = new Set<() => void>()
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
   * Done when there is none. After `drain` that means that each peer has all it was answered: what
   * is over for this node may still wait here, for a turn or for a slow reader.
   */
  readonly whenServed: Effect.Effect<void> = Effect.async<void>((resume) => {
    if (this.#open.size === 0) return resume(Effect.void)
    const wake = () => resume(Effect.void)
    this.#waiters.add(wake)
    return Effect.sync(() => {
      this.#waiters.delete(wake)
    })
  })

  #delete(link: AcceptedLink): void {
    this.#open.delete(link)
    if (this.#open.size > 0) return
    for (const wake of this.#waiters) wake()
    this.#waiters.clear()
  }
}
