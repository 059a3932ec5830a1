/**
 * Heads and bodies onto a socket. What is written of a message in one turn of the event loop leaves
 * in one write: a head waits for the beginning of its body, but never longer than that turn.
 */
import type { Writable } from "node:stream"
import { done, writeOut } from "../../model/Loan.ts"
import { chunkPrefix, chunkSuffix } from "./Encode.ts"

/** Up to this size content is copied behind its head: that costs less than a gathered write. */
const copyLimit = 16 * 1024

/** Writers with a head that waits. One task for all: a turn may answer a hundred requests. */
let waiting: Array<MessageWriter> = []
const flushWaiting = (): void => {
  const writers = waiting
  waiting = []
  for (const writer of writers) writer.flush()
}

const uncork = (socket: Writable): void => socket.uncork()

export class MessageWriter {
  readonly #socket: Writable
  /** Waits for the content that follows it. */
  #head: string | undefined = undefined

  constructor(socket: Writable) {
    this.#socket = socket
  }

  /** A head with nothing to wait for. */
  head(text: string): void {
    this.#socket.write(text, "latin1")
  }

  /** A head that `content` follows. */
  headOfContent(text: string): void {
    this.#head = text
    if (waiting.push(this) === 1) process.nextTick(flushWaiting)
  }

  /** A head that anything else follows, chunks for instance. */
  headOfMore(text: string): void {
    this.#socket.cork()
    process.nextTick(uncork, this.#socket)
    this.#socket.write(text, "latin1")
  }

  /** Bytes as they are. False: the socket has enough for now. */
  content(bytes: Uint8Array): boolean {
    const head = this.#head
    const socket = this.#socket
    if (head === undefined) return writeOut(socket, bytes)
    if (bytes.length > copyLimit) {
      socket.cork()
      this.flush()
      const room = writeOut(socket, bytes)
      socket.uncork()
      return room
    }
    this.#head = undefined
    const both = Buffer.allocUnsafe(head.length + bytes.length)
    both.write(head, 0, "latin1")
    both.set(bytes, head.length)
    done(bytes)
    return socket.write(both)
  }

  /** One chunk of the chunked coding; not an empty one, which would be the last. */
  chunk(bytes: Uint8Array): boolean {
    const socket = this.#socket
    socket.cork()
    socket.write(chunkPrefix(bytes.length), "latin1")
    writeOut(socket, bytes)
    const room = socket.write(chunkSuffix, "latin1")
    socket.uncork()
    return room
  }

  /** To be called before anything else is done with the socket. */
  flush(): void {
    const head = this.#head
    if (head === undefined) return
    this.#head = undefined
    this.#socket.write(head, "latin1")
  }

  /** Nobody is to get it any more. */
  drop(): void {
    this.#head = undefined
  }
}
