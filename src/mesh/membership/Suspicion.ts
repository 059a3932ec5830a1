/**
 * How long a member may stay suspected before it counts as dead: long while one observer says so,
 * shorter with each that agrees (Lifeguard, Dadgar et al. 2018, §IV-B).
 *
 *     min     = max(4, 2.25 · log10(n)) · 1 s
 *     max     = 6 · min
 *     timeout = max − (max − min) · log(c + 1) / log(k + 1)     c confirmations of k expected
 *
 * One accuser alone removes nobody while somebody else who watches the member could agree and does not:
 * at the maximum the accusation goes unheeded, and counts again with the next who agrees. With nobody who
 * could (two members, or all its other observers are gone from here, too) one does decide alone: with two
 * members after the minimum, else after the maximum. A single denial ends any suspicion.
 */
import type { PeerKey } from "../../model/Names.ts"

export interface SuspicionOptions {
  /** The minimum in a small mesh, in intervals; default 4. */
  readonly multiplier: number
  /**
   * The minimum of a larger one, in intervals for each power of ten of its members; default 2.25. Gossip
   * takes a hop more for each factor of three, and a hop is a tenth of an interval: most of it is reserve.
   */
  readonly growth: number
  /** The maximum is this many minimums; default 6. */
  readonly maxMultiplier: number
  /** Milliseconds that the factors multiply: the interval between probes; default 1,000. */
  readonly interval: number
  /** Confirmations beyond the first accuser that bring the timeout down to its minimum. */
  readonly confirmations: number
}

export const defaultSuspicion: SuspicionOptions = {
  multiplier: 4,
  growth: 2.25,
  maxMultiplier: 6,
  interval: 1_000,
  confirmations: 2
}

/**
 * For how long whoever accused somebody wrongly is not believed about it alone (ms). Longer than
 * the accused takes to deny, shorter than honest observers are wrong about the same member twice.
 */
export const doubtFor = 30_000

/** Statements kept per suspicion: enough to convince somebody who missed all of it. */
export const maxEvidence = 3

export interface Suspicion {
  /** Monotonic ms. */
  readonly startedAt: number
  readonly incarnation: number
  /** Accusers, first first, with the bytes they signed. At most `maxEvidence`. */
  readonly accusers: ReadonlyMap<PeerKey, Uint8Array>
  /** Confirmations that the first accuser could get, when the suspicion began. */
  readonly expected: number
}

/** `members`: alive or suspected ones, this node among them. */
export const minTimeout = (options: SuspicionOptions, members: number): number =>
  Math.max(options.multiplier, options.growth * Math.log10(Math.max(1, members))) * options.interval

/** Milliseconds from its start until a suspicion with this many confirmations is over. */
export const suspicionTimeout = (
  options: SuspicionOptions,
  members: number,
  expected: number,
  confirmations: number
): number => {
  const min = minTimeout(options, members)
  if (expected < 1) return min
  const max = min * options.maxMultiplier
  const share = Math.log(confirmations + 1) / Math.log(expected + 1)
  return Math.max(min, max - (max - min) * share)
}

/** `possible`: members that could watch this one, the accuser among them. */
export const beginSuspicion = (
  options: SuspicionOptions,
  now: number,
  incarnation: number,
  by: PeerKey,
  bytes: Uint8Array,
  possible: number
): Suspicion => ({
  startedAt: now,
  incarnation,
  accusers: new Map([[by, bytes]]),
  expected: Math.min(options.confirmations, possible - 1)
})

/** The same value when it brings nothing new. */
export const confirm = (suspicion: Suspicion, by: PeerKey, bytes: Uint8Array): Suspicion =>
  suspicion.accusers.has(by) || suspicion.accusers.size >= maxEvidence
    ? suspicion
    : { ...suspicion, accusers: new Map(suspicion.accusers).set(by, bytes) }

/** Accusers whom the accused has refuted, and until when their word alone counts for nothing. */
export type Refuted = ReadonlyMap<PeerKey, number>

export const noneRefuted: Refuted = new Map()

/** Monotonic `now`, ms. The same value when there is nothing to add. */
export const refute = (
  refuted: Refuted,
  suspicion: Suspicion | undefined,
  now: number
): Refuted => {
  if (suspicion === undefined) return refuted
  const next = new Map<PeerKey, number>()
  // Only who may accuse gets here, so that what is kept is bounded by the ring and by time.
  for (const [peer, until] of refuted) if (until > now) next.set(peer, until)
  for (const peer of suspicion.accusers.keys()) next.set(peer, now + doubtFor)
  return next
}

/** Monotonic ms until which it is open at least, however many agree and however large the mesh is. */
export const openUntil = (options: SuspicionOptions, { startedAt }: Suspicion): number =>
  startedAt + options.multiplier * options.interval

/** Monotonic ms when its time is up, as things are. */
export const dueAt = (
  options: SuspicionOptions,
  { accusers, expected, startedAt }: Suspicion,
  members: number
): number => startedAt + suspicionTimeout(options, members, expected, accusers.size - 1)

/** Monotonic ms of the last time; long ago when there was none. */
export const lastRefuted = (refuted: Refuted): number => {
  let last = Number.NEGATIVE_INFINITY
  for (const until of refuted.values()) last = Math.max(last, until - doubtFor)
  return last
}

/** What has come of a suspicion by now. */
export type Verdict = "open" | "dead" | "unheeded"

/** `othersCould`: does somebody else watch the member, is not suspected here, and has said nothing? */
export const verdictOf = (
  options: SuspicionOptions,
  suspicion: Suspicion,
  members: number,
  othersCould: () => boolean,
  now: number
): Verdict => {
  const { accusers, expected } = suspicion
  if (now < dueAt(options, suspicion, members)) return "open"
  return accusers.size > 1 || expected < 1 || !othersCould() ? "dead" : "unheeded"
}
