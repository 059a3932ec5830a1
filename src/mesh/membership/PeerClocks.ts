/**
 * How the clocks of others stand to our own, from what is exchanged anyway: a ping carries the clock
 * of whoever asks, its answer that of whoever answers, a handshake those of both.
 *
 * An answer came from some moment between question and answer, so the middle of the two is wrong by
 * half the round trip at most; a question that came was sent a moment ago. The narrower of two
 * measurements that agree is kept, for a while; of two that do not, the newer one, since one of the two
 * clocks was set. A measurement is kept against our monotonic clock, so that it tells of a jump of our
 * own wall clock at once.
 */
import type { PeerKey } from "../../model/Names.ts"
import type { Ticker } from "../../model/Time.ts"

/** Milliseconds. */
export const clockTimes = {
  /** A narrow measurement gives way to a wider one after so long: clocks drift. */
  narrow: 60_000,
  /** Nothing is told by a measurement older than this. */
  fresh: 180_000,
  /** How much earlier than it came a question may have been sent. */
  underWay: 2_000,
  /** How far this node's clock may be from the others' for them to take its word, and it theirs. */
  right: 120_000
} as const

/** Peers remembered; the one not heard of for longest gives way. */
export const maxClocks = 1_024

interface Measurement {
  /** The peer's wall clock less our monotonic one, ms. */
  readonly base: number
  /** The truth is no further from it than this, ms. */
  readonly error: number
  readonly at: number
}

/** This node's clock as the others see it. */
export interface OwnClock {
  /** Milliseconds that it is ahead of the median of the others; undefined: nobody was measured. */
  readonly ahead: number | undefined
  readonly measured: number
  /** Those of them who are within a few seconds of the median. */
  readonly agreeing: number
}

const agreement = 5_000

export class PeerClocks {
  readonly #ticker: Pick<Ticker, "now" | "wall">
  readonly #measurements = new Map<PeerKey, Measurement>()

  constructor(ticker: Pick<Ticker, "now" | "wall">) {
    this.#ticker = ticker
  }

  now(): number {
    return this.#ticker.now()
  }

  wall(): number {
    return this.#ticker.wall()
  }

  /** A peer's clock came with something it sent on its own. */
  told(peer: PeerKey, clock: number): void {
    const at = this.now()
    const error = clockTimes.underWay / 2
    this.#note(peer, { base: clock + error - at, error, at })
  }

  /** A peer's clock came with its answer to what was asked at `askedAt` (monotonic ms). */
  answered(peer: PeerKey, clock: number, askedAt: number): void {
    const at = this.now()
    const error = Math.max(0, at - askedAt) / 2
    this.#note(peer, { base: clock - (askedAt + error), error, at })
  }

  /** Milliseconds that a peer's clock is ahead of ours; undefined: not known (any more). */
  aheadOf(peer: PeerKey): number | undefined {
    const found = this.#measurements.get(peer)
    return found === undefined || this.#isOld(found) ? undefined : this.#ahead(found)
  }

  own(): OwnClock {
    const all: Array<number> = []
    for (const one of this.#measurements.values()) if (!this.#isOld(one)) all.push(this.#ahead(one))
    all.sort((a, b) => a - b)
    // Of two in the middle the one that speaks for our clock.
    const [low, high] = [all[(all.length - 1) >> 1], all[all.length >> 1]]
    if (low === undefined || high === undefined)
      return { ahead: undefined, measured: 0, agreeing: 0 }
    const median = Math.abs(low) < Math.abs(high) ? low : high
    const agreeing = all.filter((ahead) => Math.abs(ahead - median) <= agreement).length
    return { ahead: 0 - median, measured: all.length, agreeing }
  }

  /** What most of the others say of our clock; `unknown` while nobody could be asked. */
  get verdict(): "right" | "wrong" | "unknown" {
    const { ahead } = this.own()
    if (ahead === undefined) return "unknown"
    return Math.abs(ahead) < clockTimes.right ? "right" : "wrong"
  }

  #ahead({ base }: Measurement): number {
    return base - (this.wall() - this.now())
  }

  #isOld({ at }: Measurement): boolean {
    return this.now() - at > clockTimes.fresh
  }

  #note(peer: PeerKey, measured: Measurement): void {
    const known = this.#measurements.get(peer)
    const agrees =
      known !== undefined && Math.abs(known.base - measured.base) <= known.error + measured.error
    const keep =
      agrees && known.error < measured.error && measured.at - known.at < clockTimes.narrow
    if (keep) return
    this.#measurements.delete(peer)
    if (this.#measurements.size >= maxClocks) {
      const [oldest] = this.#measurements.keys()
      if (oldest !== undefined) this.#measurements.delete(oldest)
    }
    this.#measurements.set(peer, measured)
  }
}
