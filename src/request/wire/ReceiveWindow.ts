/**
 * How much a peer may send on one exchange. Whether there is always something left to read
 * decides: a reader that empties its window waits for the network, and the window doubles, up to
 * `most`; one that never does is slower than the network, and the window is halved, down to
 * `least`. So a fast transfer on a long path gets its bandwidth, and a hundred slow readers do not
 * fill the link's own window and hold up everybody else.
 *
 * Pure arithmetic. `granted` is what the peer may still send, `held` what came and was not yet
 * passed on; more is granted when both together fall to half the window.
 */

/** What windows may grow beyond their first size, for all exchanges of a link together. */
export interface GrowthBudget {
  left: number
}

export interface WindowSizes {
  readonly first: number
  readonly least: number
  readonly most: number
}

export class ReceiveWindow {
  readonly #sizes: WindowSizes
  readonly #budget: GrowthBudget
  #size: number
  #granted: number
  #held = 0
  /** The reader has had everything, some time since the last grant. */
  #emptied = true

  constructor(sizes: WindowSizes, budget: GrowthBudget) {
    this.#sizes = sizes
    this.#budget = budget
    this.#size = sizes.first
    this.#granted = sizes.first
  }

  /** The window's present size, in bytes. */
  get size(): number {
    return this.#size
  }

  get held(): number {
    return this.#held
  }

  /** False: the peer has sent more than it was granted. */
  receive(bytes: number): boolean {
    if (bytes > this.#granted) return false
    this.#granted -= bytes
    this.#held += bytes
    return true
  }

  /** The reader took `bytes`. What to grant the peer now: often 0, so that grants are few. */
  pass(bytes: number): number {
    this.#held -= bytes
    if (this.#held === 0) this.#emptied = true
    const { least, most } = this.#sizes
    if (this.#granted + this.#held > this.#size / 2) return 0
    this.#resize(this.#emptied ? Math.min(most, this.#size * 2) : Math.max(least, this.#size / 2))
    this.#emptied = false
    if (this.#granted + this.#held > this.#size / 2) return 0
    const grant = this.#size - this.#granted - this.#held
    this.#granted += grant
    return grant
  }

  /** Gives back what it grew by, at the end of its exchange. */
  free(): void {
    this.#resize(this.#sizes.first)
  }

  #resize(size: number): void {
    // Only what lies above the first size counts against the budget.
    const growth = Math.max(size, this.#sizes.first) - Math.max(this.#size, this.#sizes.first)
    if (growth > this.#budget.left) return
    this.#budget.left -= growth
    this.#size = size
  }
}
