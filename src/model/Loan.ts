/**
 * Memory that is freed by hand. A chunk of a large body is garbage a moment after it was read, but
 * V8 weighs memory outside its heap only by marking the whole heap, every 64 MB: that was half of
 * what a byte cost. So who makes such memory lends it (`lend`), and each of its bytes is done with
 * (`done`) once the last taker has it on its way: then the memory is free at once.
 *
 * This asks nothing of takers. What is kept, dropped or forgotten is never done with, and is the
 * garbage collector's as ever. Only a taker that passes a chunk on and also keeps it has to say so
 * (`keep`): whoever is done with the bytes does not know of it. Memory that was freed reads as
 * empty; it never shows what is written to it later.
 */
import type { Writable } from "node:stream"

/** Bytes not yet done with, by the memory they are in. */
const loans = new WeakMap<ArrayBufferLike, number>()

/** Less than this is not worth the book-keeping. */
export const leastLoan = 8 * 1024

const wholeOf = (bytes: Uint8Array): ArrayBuffer | undefined => {
  const { buffer } = bytes
  if (bytes.length !== buffer.byteLength || !(buffer instanceof ArrayBuffer)) return undefined
  return buffer
}

/** Frees memory of which nobody else has a part. What `bytes` does not fill is left alone. */
export const free = (bytes: Uint8Array): void => {
  if (bytes.length >= leastLoan) wholeOf(bytes)?.transfer(0)
}

/** Nobody but the caller knows these bytes yet. They are free once all of them are done with. */
export const lend = (bytes: Uint8Array): void => {
  if (bytes.length < leastLoan) return
  const buffer = wholeOf(bytes)
  if (buffer !== undefined) loans.set(buffer, buffer.byteLength)
}

/** Nobody needs this part any more. To be said once of each byte. */
export const done = (bytes: Uint8Array): void => {
  doneWith(bytes.buffer, bytes.length)
}

/** As many bytes of a memory, wherever in it they are. */
export const doneWith = (buffer: ArrayBufferLike, count: number): void => {
  if (buffer.byteLength < leastLoan) return
  const left = loans.get(buffer)
  if (left === undefined) return
  if (left > count) {
    loans.set(buffer, left - count)
    return
  }
  loans.delete(buffer)
  if (buffer instanceof ArrayBuffer) buffer.transfer(0)
}

/** These bytes are wanted later as well: their memory is not to be freed by hand. */
export const keep = (bytes: Uint8Array): void => {
  loans.delete(bytes.buffer)
}

/** Writes, and is done with the bytes once they are out. */
export const writeOut = (socket: Writable, bytes: Uint8Array): boolean => {
  if (bytes.buffer.byteLength < leastLoan || !loans.has(bytes.buffer)) return socket.write(bytes)
  return socket.write(bytes, () => done(bytes))
}
