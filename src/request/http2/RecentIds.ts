/** Ids of streams that were reset here and may still be spoken of: what was sent before the peer knew. */

/** The oldest is forgotten for another one. */
const most = 256

export class RecentIds {
  readonly #ids = new Set<number>()

  add(id: number): void {
    if (this.#ids.size >= most) {
      for (const oldest of this.#ids) {
        this.#ids.delete(oldest)
        break
      }
    }
    this.#ids.add(id)
  }

  has(id: number): boolean {
    return this.#ids.has(id)
  }
}
