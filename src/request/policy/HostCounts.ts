/**
 * How many of something each request thread of a node has, in memory that all of them see: what the host
 * has is the sum, whichever threads its calls came by.
 *
 *     memory = a column for each thread
 *     column = rows of 8 entries, a row one line of the processor's cache
 *     place  = SHA-256 of the name ─► row · tag (32 bits), the same in each column
 *     entry  = tag · count
 *
 * Nobody but its thread writes a column. So one that has crashed takes nothing along: whoever begins in its
 * place begins with zeros. And nobody waits: who adds to its own count before it looks at the others' is seen by
 * all that add after it, so that of two who want the last place at most one gets it. An entry whose count is 0 is
 * free for any name, and while it is not it stays where it is; the first that is free is taken, so that nothing comes
 * after one that never was. Two names are counted together when 40 bits of
 * their digests agree. Where a row has no room, which takes dozens of times more programs than a host is likely
 * to have, `add` says so.
 */
import { createHash } from "node:crypto"

const rows = 256
const entriesOfRow = 8
const wordsOfEntry = 2
const wordsOfRow = entriesOfRow * wordsOfEntry
const wordsOfColumn = rows * wordsOfRow
/** Instead of a tag. */
const unused = 0
/** More than a node has: as many as a config may say, and a program's own. */
export const mostColumns = 128

/** 16 KiB for each thread there is: of the rest, which nobody touches, there are only addresses. */
export const countMemory = (): SharedArrayBuffer =>
  new SharedArrayBuffer(mostColumns * wordsOfColumn * Int32Array.BYTES_PER_ELEMENT)

/** What a thread has that is gone, or begins: nothing. */
export const clearColumn = (memory: SharedArrayBuffer, thread: number): void => {
  const words = new Int32Array(memory)
  const first = thread * wordsOfColumn
  for (let at = first; at < first + wordsOfColumn; at++) {
    if (Atomics.load(words, at) !== 0) Atomics.store(words, at, 0)
  }
}

export class HostCounts {
  readonly #words: Int32Array
  readonly #thread: number
  readonly #threads: number

  /** `thread`, of `threads`: whose column is written. What it had before is for `clearColumn` to forget. */
  constructor(memory: SharedArrayBuffer, thread: number, threads: number) {
    this.#words = new Int32Array(memory)
    this.#thread = thread
    this.#threads = threads
  }

  count(name: string): HostCount {
    return new HostCount(this.#words, this.#thread, this.#threads, name)
  }
}

export class HostCount {
  readonly #words: Int32Array
  /** Whose own it is. */
  readonly thread: number
  readonly #threads: number
  readonly #tag: number
  /** Of the row, within each column. */
  readonly #row: number
  /** Where its own entry was last. */
  #at: number

  constructor(words: Int32Array, thread: number, threads: number, name: string) {
    this.#words = words
    this.thread = thread
    this.#threads = threads
    const digest = createHash("sha256").update(name).digest()
    this.#tag = digest.readInt32BE(0) || 1 // which is not `unused`
    this.#row = (digest.readUInt16BE(4) % rows) * wordsOfRow
    this.#at = this.#first(thread)
  }

  /** So many more in this thread. False: there is no room for its count. */
  add(more = 1): boolean {
    const at = this.#enter()
    if (at === -1) return false
    Atomics.add(this.#words, at + 1, more)
    return true
  }

  /** So many less in this thread, which has them. */
  remove(less = 1): void {
    const at = this.#find()
    if (at !== -1) Atomics.sub(this.#words, at + 1, less)
  }

  /** Of this thread. */
  get own(): number {
    return this.of(this.thread)
  }

  /** Of all. */
  get total(): number {
    let sum = 0
    for (let thread = 0; thread < this.#threads; thread++) sum += this.of(thread)
    return sum
  }

  of(thread: number): number {
    const words = this.#words
    const first = this.#first(thread)
    for (let at = first; at < first + wordsOfRow; at += wordsOfEntry) {
      const tag = Atomics.load(words, at)
      if (tag === unused) return 0
      if (tag !== this.#tag) continue
      const count = Atomics.load(words, at + 1)
      // It may have become another's in between, when it was free.
      if (Atomics.load(words, at) === this.#tag) return count
    }
    return 0
  }

  #first(thread: number): number {
    return thread * wordsOfColumn + this.#row
  }

  /** Its own entry; -1: it has none. */
  #find(): number {
    if (Atomics.load(this.#words, this.#at) === this.#tag) return this.#at
    const first = this.#first(this.thread)
    for (let at = first; at < first + wordsOfRow; at += wordsOfEntry) {
      const tag = Atomics.load(this.#words, at)
      if (tag === unused) return -1
      if (tag !== this.#tag) continue
      this.#at = at
      return at
    }
    return -1
  }

  /** One that is free is made it. -1: none is. */
  #enter(): number {
    const found = this.#find()
    if (found !== -1) return found
    const first = this.#first(this.thread)
    for (let at = first; at < first + wordsOfRow; at += wordsOfEntry) {
      if (Atomics.load(this.#words, at + 1) !== 0) continue
      Atomics.store(this.#words, at, this.#tag)
      this.#at = at
      return at
    }
    return -1
  }
}
