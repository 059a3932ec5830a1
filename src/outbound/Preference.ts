/**
 * Which of two candidates that were drawn in proportion to their weights gets the request.
 *
 * Of two with the SAME weight the cheaper one, where what one more request costs is latency × queue
 * (Finagle), or the queue alone. That is classic two choices.
 *
 * With DIFFERENT weights the split is what the operator asked for, and the draw alone makes it.
 * Comparing costs would undo it: whoever has less to do, or was once a little slower, would win or
 * lose every time. So the first one drawn stands unless it is materially worse:
 *
 *     cost(first) > tolerance × cost(second),   cost = latency × (inFlight + 2) / (entitled + 2)
 *
 * where `entitled` is its part by weight of what the two have in flight. The 2 keeps small counts
 * from deciding: all of six requests on one of two is chance. Latency is the mean of the last
 * answers here: a peak is the higher, the more answers it is the highest of, and would count
 * against weight. It counts as at least 5 ms, because below that a busy machine's scheduling is in
 * it; and only the first one's fades with time. A latency that nobody measured for long is a reason
 * to try an endpoint again, not one to leave another for it.
 */
import type { Candidate } from "./Candidate.ts"

/** Does the second get it? */
export type Preference = (first: Candidate, second: Candidate, now: number) => boolean

/** Requests in flight that count for nothing in the comparison of different weights. */
const smoothing = 2

/** Milliseconds. */
const shortestLatency = 5

/**
 * How many times dearer a candidate must be to lose its turn to one of another weight. Chance makes
 * the means of equal programs differ by up to twice.
 */
const tolerance = 3

/** Expected wait. */
export const peakEwma: Preference = (first, second, now) => {
  const a = first.latency
  const b = second.latency
  if (first.weight === second.weight) {
    const costA = a.expected(a.fade(now), first.inFlight) * (first.inFlight + 1)
    return b.expected(b.fade(now), second.inFlight) * (second.inFlight + 1) < costA
  }
  const latencyA = atLeast(shortestLatency, a.expectedMean(a.fade(now), first.inFlight))
  const latencyB = atLeast(shortestLatency, b.expectedMean(1, second.inFlight))
  return latencyA * loadRatio(first, second) > tolerance * latencyB
}

/** Work in flight. */
export const leastRequest: Preference = (first, second) =>
  first.weight === second.weight
    ? second.inFlight < first.inFlight
    : loadRatio(first, second) > tolerance

/** How many times as busy the first is as the second, by what their weights entitle them to. */
const loadRatio = (first: Candidate, second: Candidate): number => {
  const share = (first.inFlight + second.inFlight) / (first.weight + second.weight)
  const a = (first.inFlight + smoothing) / (share * first.weight + smoothing)
  const b = (second.inFlight + smoothing) / (share * second.weight + smoothing)
  return a / b
}

/** 0 is no latency: an endpoint that nothing is known of is free to try. */
const atLeast = (least: number, latency: number): number =>
  latency === 0 ? 0 : Math.max(least, latency)
