/**
 * One HTTP request at an endpoint's pool, from `dispatch` to its end: waits for a connection
 * (holding at most what rule 5 of Exchange.ts lets come in meanwhile), then goes through it.
 */
import type { Fields, RequestHead, ResponseHead, ResponseReceiver } from "../../model/Exchange.ts"
import type { Fault } from "../../model/Fault.ts"
import {
  asTunnel,
  endRequest,
  endResponse,
  isOver,
  isRequestEnded,
  isTunnel,
  openHalves
} from "../../model/Halves.ts"
import type { EndpointStream } from "./EndpointStream.ts"

/** What a request needs of the connection it goes through. */
export interface RequestCarrier {
  write(chunk: Uint8Array): boolean
  end(trailers: Fields): void
  /** The exchange is over before its end: what is left of it must not reach anybody. */
  abort(): void
  resume(): void
}

/** What a request needs of its pool. */
export interface RequestPool {
  /** It is not waiting for a connection any more. */
  forget(request: EndpointRequest): void
  fault(code: Fault["code"], what: string, sent: boolean): Fault
  /** Something behind the request threw. */
  defect(error: unknown): void
}

/** What the program is told of the call, so that it can say it in the calls it makes itself. */
export interface CallFacts {
  /** On the ticker's clock: when nobody waits for an answer any more. */
  readonly until: number | undefined
  /** 0, or which retry this is. */
  readonly attempt: number
}

/** Safe methods (RFC 9110 §9.2.1): whether the program has seen the first is not certain. */
const safe = new Set(["GET", "HEAD", "OPTIONS", "TRACE"])

export class EndpointRequest implements EndpointStream {
  readonly head: RequestHead
  /** Milliseconds it may be without a connection to the program. */
  readonly connectTimeout: number
  readonly #facts: CallFacts
  /** Field line with who calls. */
  readonly #caller: string
  readonly #pool: RequestPool
  #receiver: ResponseReceiver | undefined
  #carrier: RequestCarrier | undefined
  /** Body that came before the connection. */
  #kept: Array<Uint8Array> = []
  #trailers: Fields | undefined = undefined
  /** Of a body with a length: bytes still to come. */
  #left: number
  /** `write` returned false and nobody was told yet that there is room. */
  #stalled = false
  #halves = openHalves(false)
  /** It was sent a second time, after a kept connection turned out to be closed. */
  retried = false
  sent = false

  constructor(
    head: RequestHead,
    connectTimeout: number,
    facts: CallFacts,
    caller: string,
    receiver: ResponseReceiver,
    pool: RequestPool
  ) {
    this.head = head
    this.connectTimeout = connectTimeout
    this.#facts = facts
    this.#caller = caller
    this.#receiver = receiver
    this.#pool = pool
    this.#left = head.framing.kind === "length" ? head.framing.length : 0
  }

  get over(): boolean {
    return this.#receiver === undefined
  }

  /** The last byte of the request was given. */
  get complete(): boolean {
    return this.head.framing.kind === "stream" ? this.ended : this.#left === 0
  }

  /** It may be sent again if the first time nobody answered: it has no body and asks for no effect. */
  get replayable(): boolean {
    const { framing, method, upgrade } = this.head
    return (
      !this.retried &&
      upgrade === undefined &&
      (framing.kind === "none" || (framing.kind === "length" && framing.length === 0)) &&
      safe.has(method)
    )
  }

  /** Field lines, made as the head is sent: time has passed since the call came. */
  told(now: number): string {
    const { attempt, until } = this.#facts
    const limit =
      until === undefined
        ? this.#caller
        : `${this.#caller}skein-deadline: ${Math.max(1, Math.floor(until - now))}\r\n`
    return attempt === 0 ? limit : `${limit}skein-attempt: ${attempt}\r\n`
  }

  write(chunk: Uint8Array): boolean {
    if (this.#receiver === undefined || this.ended) return true
    if (chunk.length === 0) return !this.#stalled
    if (!isTunnel(this.#halves) && this.head.framing.kind !== "stream") {
      this.#left -= chunk.length
      // On a shared connection the surplus would be read as the next request.
      if (this.#left < 0) {
        this.#refuse("the request's body is longer than its head says")
        return true
      }
    }
    if (this.#carrier === undefined) {
      this.#kept.push(chunk)
      this.#stalled = true
      return false
    }
    if (this.#carrier.write(chunk)) return true
    this.#stalled = true
    return false
  }

  end(trailers: Fields): void {
    if (this.#receiver === undefined || this.ended) return
    if (this.#left > 0 && !isTunnel(this.#halves)) {
      this.#refuse("the request's body is shorter than its head says")
      return
    }
    this.#trailers = trailers
    this.#halves = endRequest(this.#halves)
    const carrier = isOver(this.#halves) ? this.#release() : this.#carrier
    carrier?.end(trailers)
  }

  cancel(): void {
    if (this.#receiver === undefined) return
    this.#release()?.abort()
  }

  resume(): void {
    this.#carrier?.resume()
  }

  /** The connection is there and has taken the head; it takes what came meanwhile. */
  attach(carrier: RequestCarrier): void {
    this.#carrier = carrier
    this.sent = true
    const kept = this.#kept
    this.#kept = []
    let room = true
    for (const chunk of kept) room = carrier.write(chunk)
    if (this.#trailers !== undefined) carrier.end(this.#trailers)
    else if (this.#stalled && room) this.onDrain()
  }

  /** The connection it was written to was stale; it is as if it had never been sent. */
  detach(): void {
    this.#carrier = undefined
    this.retried = true
  }

  onDrain(): void {
    if (!this.#stalled) return
    this.#stalled = false
    this.#receiver?.onWritable()
  }

  onInfo(head: ResponseHead): void {
    this.#receiver?.onInfo(head)
  }

  onHead(head: ResponseHead): void {
    if (head.status === 101) this.#halves = asTunnel(this.#halves)
    this.#receiver?.onHead(head)
  }

  /** False: stop reading until `resume`. */
  onData(chunk: Uint8Array): boolean {
    return this.#receiver?.onData(chunk) ?? true
  }

  /** The caller has said all; of a tunnel: it has closed its half. */
  get ended(): boolean {
    return isRequestEnded(this.#halves)
  }

  onEnd(trailers: Fields): void {
    const receiver = this.#receiver
    this.#halves = endResponse(this.#halves)
    if (isOver(this.#halves)) this.#release()
    receiver?.onEnd(trailers)
  }

  fail(code: Fault["code"], what: string): void {
    const receiver = this.#receiver
    this.#release()
    receiver?.onFault(this.#pool.fault(code, what, this.sent))
  }

  /** The caller broke the contract: the endpoint gets nothing more of this. */
  #refuse(what: string): void {
    const receiver = this.#receiver
    const fault = this.#pool.fault("bad_request", what, this.sent)
    this.#release()?.abort()
    // In a microtask, like every fault that is known while the caller is still calling.
    queueMicrotask(() => {
      try {
        receiver?.onFault(fault)
      } catch (error) {
        this.#pool.defect(error)
      }
    })
  }

  #release(): RequestCarrier | undefined {
    const carrier = this.#carrier
    this.#receiver = undefined
    this.#carrier = undefined
    this.#kept = []
    this.#pool.forget(this)
    return carrier
  }
}
