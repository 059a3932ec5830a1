/**
 * One exchange as a promise of an answer with a web stream: the bridge between the request plane's callbacks
 * and everything that speaks streams. The response body is pulled, so a slow reader stops the
 * endpoint; cancelling the body or the signal cancels the exchange all the way up. What reads it
 * has no place for 1xx responses and trailers: they are dropped.
 */
import type {
  Call,
  Dispatch,
  RequestStream,
  ResponseHead,
  ResponseReceiver
} from "../model/Exchange.ts"
import { noFields } from "../model/Exchange.ts"
import type { Fault } from "../model/Fault.ts"
import { keep } from "../model/Loan.ts"
import { MeshAnswer } from "./MeshAnswer.ts"
import { MeshFault } from "./MeshFault.ts"

export type RequestBody = ReadableStream<Uint8Array> | Uint8Array | undefined

/** Statuses whose response has no body; a web `Response` refuses one (Fetch §2.2.3). */
const bodiless = new Set([204, 205, 304])

/** HTTP/1.1 allows others, for which a web `Response` has no form. */
const isWebStatus = (status: number): boolean => status >= 200 && status <= 599

/** Chunks held for a reader that is slower than one tick; then `onData` answers false. */
const bufferedChunks = 4

const asError = (cause: unknown): Error =>
  cause instanceof Error ? cause : new Error(String(cause))

const interrupted = () => new DOMException("The request was interrupted", "AbortError")

/** Rejects with `MeshFault`, with an `AbortError`, or with what the request body failed with. */
export const exchangeToAnswer = (
  dispatch: Dispatch,
  call: Call,
  body: RequestBody,
  signal: AbortSignal
): Promise<MeshAnswer> =>
  new Promise((resolve, reject) => {
    if (signal.aborted) {
      if (body instanceof ReadableStream) discard(body)
      reject(interrupted())
      return
    }
    const exchange = new WebExchange(call, signal, { resolve, reject })
    exchange.start(dispatch(call, exchange), body)
  })

/** Nobody wants it any more; that its source cannot be told so changes nothing for anybody. */
const discard = (body: { cancel(): Promise<void> }): void => {
  body.cancel().catch(() => undefined)
}

class WebExchange implements ResponseReceiver {
  readonly #call: Call
  readonly #signal: AbortSignal
  readonly #answer: { resolve(answer: MeshAnswer): void; reject(error: Error): void }
  #stream: RequestStream | undefined
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined
  /** Set from the head on, unless the response has no body. */
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined
  /** `onData` has answered false, so one `resume` is due. */
  #paused = false
  #wakeWriter: (() => void) | undefined
  #over = false

  constructor(
    call: Call,
    signal: AbortSignal,
    answer: { resolve(answer: MeshAnswer): void; reject(error: Error): void }
  ) {
    this.#call = call
    this.#signal = signal
    this.#answer = answer
  }

  start(stream: RequestStream, body: RequestBody): void {
    this.#stream = stream
    this.#signal.addEventListener("abort", this.#onAbort)
    this.#send(stream, body).catch((cause: unknown) =>
      this.#giveUp("the request body could not be read", asError(cause))
    )
  }

  // ── The callee ──────────────────────────────────────────────────────────────────────────────

  onInfo(): void {}

  onHead(head: ResponseHead): void {
    const hasBody = this.#call.head?.method !== "HEAD" && !bodiless.has(head.status)
    if (isWebStatus(head.status)) {
      // Resolving with it is harmless should there be nothing to read: it is the first to see it.
      this.#answer.resolve(new MeshAnswer(head, hasBody ? this.#readable() : null))
      return
    }
    const error = new Error(`the response (status ${head.status}) has no form as a web Response`)
    this.#giveUp(error.message, error)
  }

  onData(chunk: Uint8Array): boolean {
    const controller = this.#controller
    // Not a body by the rules, so nobody reads it.
    if (controller === undefined) return true
    if (chunk.length > 0) {
      // The program may do two things with it at once, of which one passes it on.
      keep(chunk)
      controller.enqueue(chunk)
    }
    this.#paused = (controller.desiredSize ?? 0) <= 0
    return !this.#paused
  }

  onEnd(): void {
    this.#finish()
    this.#controller?.close()
  }

  onFault(fault: Fault): void {
    this.#finish()
    this.#fail(MeshFault.from(fault))
  }

  onWritable(): void {
    this.#wakeWriter?.()
  }

  // ── The calling program ─────────────────────────────────────────────────────────────────────

  #readable(): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller
        },
        pull: () => {
          // Asked for also while nothing was held back, and then there is nothing to resume.
          if (!this.#paused) return
          this.#paused = false
          this.#stream?.resume()
        },
        cancel: () => this.#cancel("the calling program stopped reading the response")
      },
      new CountQueuingStrategy({ highWaterMark: bufferedChunks })
    )
  }

  readonly #onAbort = (): void =>
    this.#giveUp("the calling program interrupted the request", interrupted())

  async #send(stream: RequestStream, body: RequestBody): Promise<void> {
    if (body instanceof Uint8Array) {
      if (body.length > 0) stream.write(body)
    } else if (body !== undefined) {
      const reader = body.getReader()
      this.#reader = reader
      for (;;) {
        const { done, value } = await reader.read()
        // Cancelled by `#finish` when the answer was there before the question's end.
        if (this.#over) return
        if (done) break
        if (!(value instanceof Uint8Array)) {
          throw new TypeError("a chunk of the request body is not a Uint8Array")
        }
        // An empty chunk says nothing, and would end a chunked body.
        if (value.length === 0 || stream.write(value) || this.#over) continue
        await new Promise<void>((wake) => {
          this.#wakeWriter = wake
        })
      }
    }
    if (!this.#over) stream.end(noFields)
  }

  // ── The end ─────────────────────────────────────────────────────────────────────────────────

  #giveUp(message: string, error: Error): void {
    if (this.#over) return
    this.#cancel(message)
    this.#fail(error)
  }

  #cancel(message: string): void {
    if (this.#over) return
    this.#finish()
    const { service } = this.#call
    this.#stream?.cancel({ code: "client_gone", message, node: "", service, sent: true })
  }

  #fail(error: Error): void {
    // One of the two does something: a promise that was kept cannot be broken.
    this.#answer.reject(error)
    this.#controller?.error(error)
  }

  #finish(): void {
    this.#over = true
    this.#signal.removeEventListener("abort", this.#onAbort)
    this.#wakeWriter?.()
    if (this.#reader !== undefined) discard(this.#reader)
  }
}
