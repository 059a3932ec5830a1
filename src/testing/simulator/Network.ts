/**
 * The network between hosts: how long a segment takes, whether it gets lost, and who cannot reach whom.
 * Under connections lies TCP: what is lost comes later, what is cut off waits, and nothing is reordered.
 */
export interface NetworkOptions {
  /** One way, ms, within a zone and between zones: the middle, and how far it differs. Default 50 ± 20. */
  readonly latency?: Latency
  /** By zone of the sender and zone of the receiver; what is not named is `latency`. */
  readonly between?: Readonly<Record<string, Readonly<Record<string, Latency>>>>
  /** Share of segments that get lost. Default 0. */
  readonly loss?: number
  /** Share of gossip frames that arrive a second time, as when two connections lead to a peer. Default 0. */
  readonly duplication?: number
}

export interface Latency {
  readonly middle: number
  readonly spread: number
}

/** First retransmission of TCP, ms; each further one waits twice as long, up to the longest. */
const firstRetry = 200
const longestRetry = 120_000

/** After so long without an answer a kernel gives a connection up (Linux, tcp_retries2 = 15), ms. */
export const kernelPatience = 924_600

export type Cut = (from: number, to: number) => boolean

export class Network {
  loss: number
  duplication: number
  latency: Latency
  readonly #between: NetworkOptions["between"]
  readonly #zoneOf: (index: number) => string
  readonly #random: () => number
  readonly #cuts = new Set<Cut>()

  constructor(options: NetworkOptions, zoneOf: (index: number) => string, random: () => number) {
    this.loss = options.loss ?? 0
    this.duplication = options.duplication ?? 0
    this.latency = options.latency ?? { middle: 50, spread: 20 }
    this.#between = options.between
    this.#zoneOf = zoneOf
    this.#random = random
  }

  /** Nothing passes from one to the other where it says so. Returns how to end it. */
  cut(cut: Cut): () => void {
    this.#cuts.add(cut)
    return () => void this.#cuts.delete(cut)
  }

  isCut(from: number, to: number): boolean {
    if (this.#cuts.size === 0) return false
    for (const cut of this.#cuts) if (cut(from, to)) return true
    return false
  }

  #latency(from: number, to: number): Latency {
    if (this.#between === undefined) return this.latency
    return this.#between[this.#zoneOf(from)]?.[this.#zoneOf(to)] ?? this.latency
  }

  /** One segment's way, ms, with the retransmissions that its loss costs. */
  delay(from: number, to: number): number {
    const { middle, spread } = this.#latency(from, to)
    let delay = middle + spread * (2 * this.#random() - 1)
    for (let retry = firstRetry; this.loss > 0 && this.#random() < this.loss; retry *= 2) {
      delay += retry
    }
    return Math.max(0.05, delay)
  }
}

/** When TCP tries again what was first sent at `since`, ms. */
export const nextRetry = (since: number, now: number): number => {
  let wait = firstRetry
  let at = since + wait
  while (at <= now) {
    wait = Math.min(longestRetry, 2 * wait)
    at += wait
  }
  return at
}
