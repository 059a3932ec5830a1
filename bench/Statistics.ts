/** What several rounds say together. */

/** The value below which this share (0–1) of the values lies, interpolated. */
export const quantile = (values: ReadonlyArray<number>, share: number): number => {
  if (values.length === 0) return Number.NaN
  const sorted = [...values].sort((a, b) => a - b)
  const place = share * (sorted.length - 1)
  const below = sorted[Math.floor(place)]!
  const above = sorted[Math.ceil(place)]!
  return below + (above - below) * (place - Math.floor(place))
}

export const median = (values: ReadonlyArray<number>): number => quantile(values, 0.5)

/**
 * The middle half of the values over their median: what a difference must beat before it means
 * anything. Unlike (largest − smallest) it does not grow with the number of rounds, and one round
 * in which the machine was busy elsewhere does not hide a real change.
 */
export const spread = (values: ReadonlyArray<number>): number =>
  (quantile(values, 0.75) - quantile(values, 0.25)) / median(values)

/**
 * One value over another, round by round: a slow minute of the machine slows both and cancels
 * out. Where the numbers of rounds differ they are no pairs, and the reference's median serves.
 */
export const ratios = (
  values: ReadonlyArray<number>,
  reference: ReadonlyArray<number>
): ReadonlyArray<number> => {
  const paired = values.length === reference.length
  const middle = median(reference)
  return values.map((value, round) => value / (paired ? reference[round]! : middle))
}
