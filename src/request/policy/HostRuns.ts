/**
 * Results in a row, counted over all request threads of a node: the failures that open a circuit are
 * the host's, whichever thread a request came to.
 *
 * Only a run that goes on has an entry: a count of 0 is none. So the table is small, needs no word from
 * anybody about who comes and goes, and costs a healthy endpoint's success one look at one line of the
 * processor's cache.
 *
 *     place = SHA-256 of the name ─► row (10 bits) of 8 entries, one cache line
 *     entry = 0 | tag (40 bits, of the same digest) · count (24 bits)
 *
 * An entry is one word, changed by compare-and-swap alone, so a thread that is ended in the middle of
 * anything leaves the table whole, and nobody ever waits for a lock. Two names share a count when 50
 * bits of their digests agree, which nobody will see happen. When a row is full, which takes dozens of
 * times more failing endpoints than are likely, a name that finds no room is counted by each thread
 * for itself.
 */
import { createHash } from "node:crypto"
import { OwnRunCount, type RunCount } from "./RunCount.ts"

const rows = 1_024
const entriesOfRow = 8
/** More than any threshold has. */
const countBits = 24n
const free = 0n

/** 64 KiB; whoever makes the threads makes it, and hands it to each. */
export const runMemory = (): SharedArrayBuffer =>
  new SharedArrayBuffer(rows * entriesOfRow * BigInt64Array.BYTES_PER_ELEMENT)

/** Which half of a word has its high bits: 1 on all processors people are likely to have. */
const highHalf = new Int32Array(new BigInt64Array([1n]).buffer)[0] === 1 ? 1 : 0

export class HostRuns {
  readonly #words: BigInt64Array
  /** The same memory, by halves: looking for a tag makes no bigints. */
  readonly #halves: Int32Array

  constructor(memory: SharedArrayBuffer) {
    this.#words = new BigInt64Array(memory)
    this.#halves = new Int32Array(memory)
  }

  /** The count of that name: one for all threads that have the same memory. */
  count(name: string): RunCount {
    return new HostRunCount(this.#words, this.#halves, name)
  }
}

class HostRunCount implements RunCount {
  readonly #words: BigInt64Array
  readonly #halves: Int32Array
  /** Of the row. */
  readonly #first: number
  readonly #tag: bigint
  /** The upper 32 bits of the tag, which are those of an entry. */
  readonly #highTag: number
  /** What found no room. */
  readonly #own = new OwnRunCount()

  constructor(words: BigInt64Array, halves: Int32Array, name: string) {
    this.#words = words
    this.#halves = halves
    const digest = createHash("sha256").update(name).digest()
    this.#first = (digest.readUInt16BE(5) % rows) * entriesOfRow
    this.#highTag = digest.readInt32BE(0)
    this.#tag = BigInt.asIntN(64, digest.readBigInt64BE(0) & ~((1n << countBits) - 1n))
  }

  get value(): number {
    const at = this.#find(this.#first)
    return (at === -1 ? 0 : this.#countIn(Atomics.load(this.#words, at))) + this.#own.value
  }

  add(threshold: number): boolean {
    if (threshold <= 1) return true
    for (;;) {
      const at = this.#find(this.#first)
      if (at === -1) {
        if (!this.#enter()) return this.#own.add(threshold)
        this.#join()
        return false
      }
      const word = Atomics.load(this.#words, at)
      // Somebody has just cleared it.
      if (!this.#isOurs(word)) continue
      const count = this.#countIn(word) + 1
      const next = count >= threshold ? free : this.#entry(count)
      if (Atomics.compareExchange(this.#words, at, word, next) === word) return next === free
    }
  }

  clear(): void {
    this.#own.clear()
    let at = this.#find(this.#first)
    while (at !== -1) {
      const word = Atomics.load(this.#words, at)
      if (this.#isOurs(word)) Atomics.compareExchange(this.#words, at, word, free)
      at = this.#find(at)
    }
  }

  /** The first entry of the name from that place on; -1: there is none. */
  #find(from: number): number {
    const end = this.#first + entriesOfRow
    for (let at = from; at < end; at++) {
      if (
        Atomics.load(this.#halves, 2 * at + highHalf) === this.#highTag &&
        this.#isOurs(Atomics.load(this.#words, at))
      ) {
        return at
      }
    }
    return -1
  }

  /** False: there is no room in its row. */
  #enter(): boolean {
    const entry = this.#entry(1)
    const end = this.#first + entriesOfRow
    for (let at = this.#first; at < end; at++) {
      if (Atomics.compareExchange(this.#words, at, free, entry) === free) return true
    }
    return false
  }

  /**
   * Two threads may enter a name at the same moment, at two places. Each looks after it has entered,
   * so one of them sees both, and makes one of them.
   */
  #join(): void {
    for (;;) {
      const first = this.#find(this.#first)
      const second = first === -1 ? -1 : this.#find(first + 1)
      if (second === -1) return
      const word = Atomics.load(this.#words, second)
      if (!this.#isOurs(word)) continue
      if (Atomics.compareExchange(this.#words, second, word, free) !== word) continue
      this.#addTo(first, this.#countIn(word))
    }
  }

  /** A success that comes in meanwhile takes them along: it came after them. */
  #addTo(at: number, count: number): void {
    for (;;) {
      const word = Atomics.load(this.#words, at)
      if (!this.#isOurs(word)) return
      const sum = this.#entry(this.#countIn(word) + count)
      if (Atomics.compareExchange(this.#words, at, word, sum) === word) return
    }
  }

  #isOurs(word: bigint): boolean {
    return word !== free && BigInt.asIntN(64, (word >> countBits) << countBits) === this.#tag
  }

  #countIn(word: bigint): number {
    return Number(BigInt.asUintN(24, word))
  }

  #entry(count: number): bigint {
    return this.#tag | BigInt(count)
  }
}
