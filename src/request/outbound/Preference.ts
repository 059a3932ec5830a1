/**
 * Which of two candidates that were drawn in proportion to their weights gets the request: the one
 * where it costs less,
 *
 *     cost = latency × queue × penalty
 *
 * or, for `least_request`, the same without the latency.
 *
 * With the SAME weight it is as simple as that (power of two choices; Finagle), and
 * queue = inFlight + 1.
 *
 * With DIFFERENT weights the split is what the operator asked for, and the draw alone makes it.
 * Comparing costs would undo it: whoever has less to do, or was once a little slower, would win or
 * lose every time. So the first one drawn stands unless it is materially worse:
 *
 *     cost(first) > tolerance × cost(second),   queue = (inFlight + 2) / (entitled + 2)
 *
 * where `entitled` is its part by weight of what the two have in flight. The 2 keeps small counts
 * from deciding: all of six requests on one of two is chance. Latency is a mean here, once there are
 * answers enough of both for one: a peak is the higher, the more answers it is the highest of, and
 * would count against weight. It counts as at least 5 ms, because below that a busy machine's
 * scheduling is in it; and only what is known of the first one fades with time. What nobody measured
 * for long is a reason to try an endpoint again, not one to leave another for it.
 *
 * An endpoint that FAILS does so fast, as a rule, and looks quick and idle. So, as far as it fails
 * (or answers without doing the work, like 404) more than the other one,
 *
 *     penalty  = (1 + 10 · failing)²
 *     latency ≥ hollow × the other's latency
 *     inFlight += hollow × the other's,    its part by weight when weights differ
 *
 * `failing` and `hollow` are Score's shares of time, here above the other's and above 5 %: one
 * failure in a hundred is none, and what all endpoints answer alike is held against nobody.
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

/** A share of time by which two endpoints may differ without its meaning anything. */
const chance = 0.05

const steepness = 10

/** So much more of hollow answers is as much as only those: they all count as the other's. */
const allHollow = 0.25

/** Expected wait. */
export const peakEwma: Preference = (first, second, now) => {
  const a = first.score
  const b = second.score
  const fadeA = a.fade(now)
  if (first.weight === second.weight) {
    const fadeB = b.fade(now)
    const latencyA = a.expected(fadeA, first.inFlight)
    const latencyB = b.expected(fadeB, second.inFlight)
    if (!a.troubled && !b.troubled) {
      return latencyB * (second.inFlight + 1) < latencyA * (first.inFlight + 1)
    }
    return dearer(first, second, fadeA, fadeB, latencyA, latencyB)
  }
  if (!a.known || !b.known) return dearer(first, second, fadeA, 1, 1, 1)
  const latencyA = atLeast(shortestLatency, a.expectedMean(fadeA, first.inFlight))
  const latencyB = atLeast(shortestLatency, b.expectedMean(1, second.inFlight))
  return dearer(first, second, fadeA, 1, latencyA, latencyB)
}

/** Work in flight. */
export const leastRequest: Preference = (first, second, now) => {
  const equal = first.weight === second.weight
  const a = first.score
  const b = second.score
  if (equal && !a.troubled && !b.troubled) return second.inFlight < first.inFlight
  const fadeA = a.troubled ? a.fade(now) : 1
  const fadeB = equal && b.troubled ? b.fade(now) : 1
  return dearer(first, second, fadeA, fadeB, 1, 1)
}

/** Is the first so much dearer that the second gets it? What is left of their scores are the fades. */
const dearer = (
  first: Candidate,
  second: Candidate,
  fadeA: number,
  fadeB: number,
  latencyA: number,
  latencyB: number
): boolean => {
  const a = first.score
  const b = second.score
  const moreHollow = a.hollow * fadeA - b.hollow * fadeB
  const hollowA = counted(moreHollow)
  const hollowB = counted(-moreHollow)
  const moreFailing = a.failing * fadeA - b.failing * fadeB
  const costA = Math.max(latencyA, hollowA * latencyB) * penalty(moreFailing)
  const costB = Math.max(latencyB, hollowB * latencyA) * penalty(-moreFailing)
  if (first.weight === second.weight) {
    const queueA = first.inFlight + hollowA * second.inFlight + 1
    const queueB = second.inFlight + hollowB * first.inFlight + 1
    return costA * queueA > costB * queueB
  }
  const share = (first.inFlight + second.inFlight) / (first.weight + second.weight)
  const entitledA = share * first.weight
  const entitledB = share * second.weight
  const queueA = (first.inFlight + hollowA * entitledA + smoothing) / (entitledA + smoothing)
  const queueB = (second.inFlight + hollowB * entitledB + smoothing) / (entitledB + smoothing)
  return costA * queueA > tolerance * costB * queueB
}

/** In [0, 1]. */
const counted = (hollow: number): number =>
  hollow <= chance ? 0 : Math.min(1, (hollow - chance) / allHollow)

const penalty = (failing: number): number =>
  failing <= chance ? 1 : (1 + steepness * (failing - chance)) ** 2

/** 0 is no latency: an endpoint that nothing is known of is free to try. */
const atLeast = (floor: number, latency: number): number =>
  latency === 0 ? 0 : Math.max(floor, latency)
