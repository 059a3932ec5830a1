/**
 * What of the data directory cannot be written at present. A node serves on without: all it needs is
 * in memory. It says so once, when that begins, and once when it is over, however many parts are
 * concerned and however often each is tried; and of the directory itself, whenever it is another
 * thing that is wrong.
 */
import { Effect } from "effect"

/** `directory`: that it is there, and the files that make it this node's. */
export type StoragePart = "directory" | "catalogue" | "epoch" | "forgotten"

export class StorageTrouble {
  readonly #dataDir: string
  readonly #parts = new Map<StoragePart, string>()

  constructor(dataDir: string) {
    this.#dataDir = dataDir
  }

  /** What is wrong, with the mend; of several the directory comes first. Undefined: all is well. */
  get problem(): string | undefined {
    const [first] = this.#parts.values()
    return this.#parts.get("directory") ?? first
  }

  has(part: StoragePart): boolean {
    return this.#parts.has(part)
  }

  failed(part: StoragePart, message: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      const before = this.#parts.get(part)
      const isNews = this.#parts.size === 0 || (part === "directory" && before !== message)
      this.#parts.set(part, message)
      return isNews
        ? Effect.logWarning(`${message}. The node serves on and tries again every few seconds`)
        : Effect.logDebug(message)
    })
  }

  done(part: StoragePart): Effect.Effect<void> {
    return Effect.suspend(() =>
      this.#parts.delete(part) && this.#parts.size === 0
        ? Effect.logInfo(`the data directory ${this.#dataDir} is in order again`)
        : Effect.void
    )
  }
}
