/**
 * Who connects to this node is called back instead, where that can be done. The mesh thread of a
 * program's node listens by way of the program's thread, and what comes that way stands still while
 * the program is busy; a connection that it has made itself does not. Whoever cannot be reached from
 * here, and a node that does the same, is let in: the call that came to nothing is remembered. Who is
 * refused may take itself for connected until it hears of it, so a call that was lost at once is one.
 */
import type { PeerKey } from "../../model/Names.ts"
import type { Ticker } from "../../model/Time.ts"

export interface CallBacksOptions {
  readonly ticker: Pick<Ticker, "now">
  /** Milliseconds since there has been a connection with it; undefined when there is none. */
  readonly upFor: (peer: PeerKey) => number | undefined
  /** It has an address. */
  readonly isKnown: (peer: PeerKey) => boolean
  /** Connects to it. Rejects when that cannot be. */
  readonly call: (peer: PeerKey) => Promise<void>
}

/** Whoever could not be called is let in for so long, ms. */
const letInFor = 600_000
/**
 * Two that come up together call each other at the same moment, and what the other has begun would
 * be a second connection, and the one that stands still. Whoever calls later has lost the first one.
 */
const sameMoment = 2_000
/** A connection that was called for and did not last as long was refused, ms. */
const lostSoon = 10_000
const mostRemembered = 1_024

export class CallBacks {
  readonly #options: CallBacksOptions
  readonly #calling = new Set<PeerKey>()
  /** Since when, the latest last. */
  readonly #failed = new Map<PeerKey, number>()
  /** When a call of this node's has led to a connection, the latest last. */
  readonly #called = new Map<PeerKey, number>()

  constructor(options: CallBacksOptions) {
    this.#options = options
  }

  /** A peer has connected and shown who it is. True: it is refused, and called back. */
  instead(peer: PeerKey): boolean {
    const { call, isKnown, ticker, upFor } = this.#options
    const up = upFor(peer)
    if (up !== undefined) return up < sameMoment
    if (!isKnown(peer)) return false
    const failed = this.#failed.get(peer)
    if (failed !== undefined && ticker.now() - failed < letInFor) return false
    const called = this.#called.get(peer)
    if (called !== undefined && ticker.now() - called < lostSoon) {
      remember(this.#failed, peer, ticker.now())
      return false
    }
    if (this.#calling.has(peer)) return true
    this.#calling.add(peer)
    call(peer)
      .then(
        () => {
          this.#failed.delete(peer)
          remember(this.#called, peer, ticker.now())
        },
        () => remember(this.#failed, peer, ticker.now())
      )
      .finally(() => this.#calling.delete(peer))
    return true
  }
}

const remember = (times: Map<PeerKey, number>, peer: PeerKey, now: number): void => {
  times.delete(peer)
  const [oldest] = times.size >= mostRemembered ? times.keys() : []
  if (oldest !== undefined) times.delete(oldest)
  times.set(peer, now)
}
