/**
 * How request threads of a node call each other to look at what they share, without the mesh thread and
 * without messages: one word of shared memory for each. However often one is rung before it looks, it looks
 * once; and what was changed before the ring, it sees.
 */
import { contain, type OnDefect } from "../../model/Defect.ts"
import { mostColumns } from "./HostCounts.ts"

/** A line of the processor's cache. */
const wordsOfBell = 16
const quiet = 0
const rung = 1

/** 8 KiB. */
export const bellMemory = (): SharedArrayBuffer =>
  new SharedArrayBuffer(mostColumns * wordsOfBell * Int32Array.BYTES_PER_ELEMENT)

export const ringBell = (words: Int32Array, thread: number): void => {
  const at = thread * wordsOfBell
  if (Atomics.exchange(words, at, rung) === quiet) Atomics.notify(words, at)
}

/** All threads look. */
export const ringAll = (memory: SharedArrayBuffer): void => {
  const words = new Int32Array(memory)
  for (let thread = 0; thread < mostColumns; thread++) ringBell(words, thread)
}

export interface ThreadBellsOptions {
  readonly memory: SharedArrayBuffer
  /** Whose bell is heard here. */
  readonly thread: number
  readonly onRing: () => void
  readonly onDefect: OnDefect
}

export class ThreadBells {
  readonly #words: Int32Array
  readonly #options: ThreadBellsOptions
  readonly #at: number
  #stopped = false

  constructor(options: ThreadBellsOptions) {
    this.#options = options
    this.#words = new Int32Array(options.memory)
    this.#at = options.thread * wordsOfBell
    this.#listen()
  }

  /** Also this thread's own: it looks in a later turn. */
  ring(thread: number): void {
    ringBell(this.#words, thread)
  }

  /** It is heard no more, and nothing waits for it. */
  stop(): void {
    this.#stopped = true
    this.ring(this.#options.thread)
  }

  #listen(): void {
    if (this.#stopped) return
    const heard = Atomics.waitAsync(this.#words, this.#at, quiet)
    // Rung before it listened: others have their turn first.
    if (!heard.async) setImmediate(this.#onRing)
    else void heard.value.then(this.#onRing)
  }

  readonly #onRing = (): void => {
    if (this.#stopped) return
    Atomics.store(this.#words, this.#at, quiet)
    contain(this.#options.onDefect, "what threads of the node share", this.#options.onRing)
    this.#listen()
  }
}
