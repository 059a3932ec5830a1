/**
 * The endpoints an attempt may go to, with their weights added up once, so that drawing one in
 * proportion to weight costs a multiplication when they are all alike and a binary search when
 * they are not.
 */
export class Candidates<C extends { readonly weight: number }> {
  readonly all: ReadonlyArray<C>
  /** Sum of the weights up to and including each one; undefined when all weigh the same. */
  readonly #sums: Float64Array | undefined

  constructor(all: ReadonlyArray<C>) {
    this.all = all
    this.#sums = all.every(({ weight }) => weight === all[0]!.weight) ? undefined : sums(all)
  }

  /** An index, in proportion to weight. `random` in [0, 1). */
  draw(random: number): number {
    const { length } = this.all
    if (this.#sums === undefined) return Math.floor(random * length)
    return this.#find(this.#sums, random * this.#sums[length - 1]!)
  }

  /** An index other than `except`, in proportion to weight. There are at least two. */
  drawOther(except: number, random: number): number {
    const { length } = this.all
    if (this.#sums === undefined) {
      const index = Math.floor(random * (length - 1))
      return index < except ? index : index + 1
    }
    // On the line of all weights the stretch of `except` is left out.
    const { weight } = this.all[except]!
    const before = this.#sums[except]! - weight
    const point = random * (this.#sums[length - 1]! - weight)
    return this.#find(this.#sums, point < before ? point : point + weight)
  }

  /** The first index whose sum is above `point`. */
  #find(sums: Float64Array, point: number): number {
    let low = 0
    let high = sums.length - 1
    while (low < high) {
      const middle = (low + high) >>> 1
      if (sums[middle]! > point) high = middle
      else low = middle + 1
    }
    return low
  }
}

const sums = (all: ReadonlyArray<{ readonly weight: number }>): Float64Array => {
  let sum = 0
  return Float64Array.from(all, ({ weight }) => {
    sum += weight
    return sum
  })
}
