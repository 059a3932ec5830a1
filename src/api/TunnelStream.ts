/**
 * A served call as the connection of a protocol that it is switched to: for libraries that take a stream.
 * The first that is written is the head of the answer, as it would go onto a socket; it is read by the
 * rules for programs (docs/http.md).
 */
import { Duplex } from "node:stream"
import { StrictBlocks } from "../request/http1/BlockSource.ts"
import { defaultHttp1Limits } from "../request/http1/Limits.ts"
import { readResponseHead } from "../request/http1/ResponseHeadText.ts"
import type { ServedCall } from "./ServedCall.ts"

const blocks = new StrictBlocks(defaultHttp1Limits, "program")

/** Bytes each way that are held here, beside what the call holds. */
const held = 64 * 1024

const headEnd = "\r\n\r\n"

export class TunnelStream extends Duplex {
  readonly #call: ServedCall
  #isReading = false
  #stopReading: (() => void) | undefined = undefined
  #stopWaiting: (() => void) | undefined = undefined

  constructor(call: ServedCall) {
    super({ allowHalfOpen: true, readableHighWaterMark: held, writableHighWaterMark: held })
    this.#call = call
    // Also while nothing is read or written.
    call.whenBroken(() => this.destroy())
  }

  override _read(): void {
    if (this.#isReading) return
    this.#isReading = true
    // It may call back at once.
    this.#stopReading = this.#call.read((part) => {
      this.#isReading = false
      if (part.kind === "data") for (const chunk of part.chunks) this.push(chunk)
      else if (part.kind === "end") this.push(null)
      else this.destroy()
    })
  }

  override _write(
    chunk: Buffer,
    _encoding: BufferEncoding,
    done: (error?: Error | null) => void
  ): void {
    const call = this.#call
    try {
      const bytes = call.answered ? chunk : this.#answer(chunk)
      if (bytes.length === 0 || call.send(bytes)) {
        done()
        return
      }
    } catch (cause) {
      done(cause instanceof Error ? cause : new Error(String(cause)))
      return
    }
    this.#stopWaiting = call.room(() => done())
  }

  override _final(done: () => void): void {
    this.#call.finish()
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#stopReading?.()
    this.#stopWaiting?.()
    // Of a call that has ended as it should, nobody hears this.
    const why = error === null ? "" : `: ${error.message}`
    this.#call.fail("upstream_reset", `broke off what it had switched to${why}`)
    done(error)
  }

  /** Gives what follows the head. Throws Http1Error. */
  #answer(first: Buffer): Buffer {
    const call = this.#call
    const end = first.indexOf(headEnd) + headEnd.length
    const text = first.toString("latin1", 0, end)
    const { head } = readResponseHead(text, call.head.method, blocks)
    if (head.status === 101) call.switch(head)
    else call.answer(head, true)
    return first.subarray(end)
  }
}
