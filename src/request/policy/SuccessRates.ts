/**
 * Which endpoints succeed less than the others do. An endpoint is an outlier when its success rate
 * lies below the median by more than each of
 *
 * - `deviations` × 1.4826 × the median of all distances from the median (MAD). For rates that are
 *   spread normally that is the standard deviation; unlike it, it hardly changes for a few that are
 *   far off, so two bad ones do not hide each other;
 * - `margin` percentage points: what is well enough is not worse for being the worst;
 * - what chance makes of that many requests: 3.5 standard errors of a proportion. With 30 endpoints
 *   of the same rate that is exceeded once in 100 intervals or less. The rate is pulled towards a
 *   half by so many requests (Wilson), since one that was 1 so far need not be 1.
 */

export interface SuccessRate {
  readonly successes: number
  readonly total: number
}

export interface OutlierLimits {
  readonly deviations: number
  /** Percentage points. */
  readonly margin: number
}

/** Of a normal distribution: standard deviation over median absolute deviation. */
const normal = 1.4826

const standardErrors = 3.5

/** The outliers, worst first. Every `total` is above 0. */
export const outliers = <A extends SuccessRate>(
  all: ReadonlyArray<A>,
  { deviations, margin }: OutlierLimits
): ReadonlyArray<A> => {
  const rates = all.map(rate)
  const centre = median(rates)
  const spread = normal * median(rates.map((one) => Math.abs(one - centre)))
  const least = Math.max(deviations * spread, margin / 100)
  return all
    .filter(
      (one) => centre - rate(one) > Math.max(least, standardErrors * error(centre, one.total))
    )
    .sort((a, b) => rate(a) - rate(b))
}

const rate = ({ successes, total }: SuccessRate): number => successes / total

const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  if (sorted.length % 2 === 1) return sorted[middle]!
  return sorted.length === 0 ? 0 : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** Standard error of the rate of so many requests, where `centre` is expected. */
const error = (centre: number, total: number): number => {
  const square = standardErrors ** 2
  const expected = (centre * total + square / 2) / (total + square)
  return Math.sqrt((expected * (1 - expected)) / total)
}
