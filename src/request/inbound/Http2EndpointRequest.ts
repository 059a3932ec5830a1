/**
 * One HTTP request at an endpoint whose program speaks HTTP/2, from `dispatch` to its end: waits for
 * room on a connection (holding at most what rule 5 of Exchange.ts lets come in meanwhile), then is a
 * stream of it.
 */
import type { Fields, RequestHead, ResponseHead, ResponseReceiver } from "../../model/Exchange.ts"
import type { Fault } from "../../model/Fault.ts"
import { requestToSend } from "../http2/HeadToSend.ts"
import type { Http2ClientSession } from "../http2/Http2ClientSession.ts"
import { Http2Code } from "../http2/Http2Error.ts"
import type { Http2Stream, StreamOwner, StreamReset } from "../http2/Http2Stream.ts"
import type { CallFacts } from "./EndpointRequest.ts"
import type { EndpointStream } from "./EndpointStream.ts"

/** What a request needs of its pool. */
export interface Http2RequestPool {
  /** It is not waiting for a connection any more. */
  forget(request: Http2EndpointRequest): void
  /** The program has certainly not looked at it: on another connection it may. */
  again(request: Http2EndpointRequest): void
  fault(code: Fault["code"], what: string, sent: boolean): Fault
  /** Something behind the request threw. */
  defect(error: unknown): void
}

export class Http2EndpointRequest implements EndpointStream, StreamOwner {
  readonly head: RequestHead
  /** Milliseconds it may be without a connection to the program. */
  readonly connectTimeout: number
  /** The new connection whose settings it waits for. */
  awaited: { forget(request: Http2EndpointRequest): void } | undefined = undefined
  readonly #facts: CallFacts
  /** Who calls. */
  readonly #caller: string
  readonly #pool: Http2RequestPool
  readonly #tellsGrpc: boolean
  #receiver: ResponseReceiver | undefined
  #stream: Http2Stream | undefined
  #session: Http2ClientSession | undefined
  /** Body that came before there was a stream. */
  #kept: Array<Uint8Array> = []
  #trailers: Fields | undefined = undefined
  /** Of a body with a length: bytes still to come. */
  #left: number
  /** `write` returned false and nobody was told yet that there is room. */
  #stalled = false
  /** Some of the body went out: nobody could send it again. */
  #bodySent = false
  #tries = 0
  /** New connections that had no room for anybody. */
  #turns = 0

  /**
   * `tellsGrpc`: the program is one of gRPC, and told its deadline in that protocol's words. Others are where the
   * client has used them.
   */
  constructor(
    head: RequestHead,
    connectTimeout: number,
    facts: CallFacts,
    caller: string,
    tellsGrpc: boolean,
    receiver: ResponseReceiver,
    pool: Http2RequestPool
  ) {
    this.head = head
    this.connectTimeout = connectTimeout
    this.#facts = facts
    this.#caller = caller
    this.#tellsGrpc = tellsGrpc
    this.#receiver = receiver
    this.#pool = pool
    this.#left = head.framing.kind === "length" ? head.framing.length : 0
  }

  get over(): boolean {
    return this.#receiver === undefined
  }

  /** A byte of it may have reached the program. */
  get sent(): boolean {
    return this.#stream?.opened === true
  }

  /** It has room on a connection. The head leaves with what follows in this turn. */
  attach(session: Http2ClientSession, now: number): void {
    this.#tries++
    const { fields } = this.head
    const at = this.#facts.until === undefined ? -1 : placeOf(fields, "grpc-timeout")
    // What the client said of its deadline is said anew.
    const others = at === -1 ? fields : [...fields.slice(0, at), ...fields.slice(at + 2)]
    const head = requestToSend(this.head, others, this.#told(now, this.#tellsGrpc || at !== -1))
    const stream = session.request(this.head.method, head, this)
    this.#session = session
    this.#stream = stream
    const kept = this.#kept
    this.#kept = []
    let room = true
    for (const chunk of kept) room = this.#send(stream, chunk)
    if (this.#trailers !== undefined) stream.end(this.#trailers)
    else if (this.#stalled && room) this.onStreamRoom()
  }

  write(chunk: Uint8Array): boolean {
    if (this.#receiver === undefined || this.#trailers !== undefined) return true
    if (chunk.length === 0) return !this.#stalled
    if (this.head.framing.kind !== "stream") {
      this.#left -= chunk.length
      if (this.#left < 0) {
        this.#refuse("the request's body is longer than its head says")
        return true
      }
    }
    if (this.#stream === undefined) {
      this.#kept.push(chunk)
      this.#stalled = true
      return false
    }
    if (this.#send(this.#stream, chunk)) return true
    this.#stalled = true
    return false
  }

  end(trailers: Fields): void {
    if (this.#receiver === undefined || this.#trailers !== undefined) return
    if (this.#left > 0) {
      this.#refuse("the request's body is shorter than its head says")
      return
    }
    this.#trailers = trailers
    this.#stream?.end(trailers)
  }

  cancel(): void {
    if (this.#receiver !== undefined) this.#abandon(Http2Code.cancel)
  }

  resume(): void {
    this.#stream?.resume()
  }

  fail(code: Fault["code"], what: string): void {
    const { sent } = this
    this.#release()?.onFault(this.#pool.fault(code, what, sent))
  }

  // ── The stream ──────────────────────────────────────────────────────────────────────────────

  onStreamHead(head: ResponseHead): void {
    if (head.status < 200) this.#receiver?.onInfo(head)
    else this.#receiver?.onHead(head)
  }

  onStreamData(chunk: Uint8Array): boolean {
    return this.#receiver?.onData(chunk) ?? true
  }

  /** What is left of the request is nobody's any more. */
  onStreamEnd(trailers: Fields): void {
    const receiver = this.#receiver
    if (this.#stream?.localEnded === true) this.#release()
    else this.#abandon(Http2Code.none)
    receiver?.onEnd(trailers)
  }

  onStreamReset({ unprocessed, why }: StreamReset): void {
    if (unprocessed) this.#notTaken(why)
    else this.fail("upstream_reset", `broke off: ${why}`)
  }

  onStreamRoom(): void {
    if (!this.#stalled) return
    this.#stalled = false
    this.#receiver?.onWritable()
  }

  /** Its connection never was one. */
  notConnected(code: "overflow" | "upstream_connect", what: string): void {
    this.#stream = undefined
    this.fail(code, what)
  }

  /** The program says on a new connection that it takes no stream. */
  turnedAway(): void {
    this.#turns++
    if (this.#turns < mostTurns) this.#pool.again(this)
    else this.fail("overflow", `${takesNone}, on ${mostTurns} new connections one after the other`)
  }

  #notTaken(why: string): void {
    this.#stream = undefined
    this.#session = undefined
    if (this.#bodySent || this.#tries > 1) this.fail("upstream_connect", `did not take it: ${why}`)
    else this.#pool.again(this)
  }

  #send(stream: Http2Stream, chunk: Uint8Array): boolean {
    this.#bodySent = true
    return stream.write(chunk)
  }

  /** Time has passed since the call came, so this is made as the head is sent. */
  #told(now: number, tellsGrpc: boolean): Fields {
    const { attempt, until } = this.#facts
    const told = ["skein-caller", this.#caller]
    if (until !== undefined) {
      const left = String(leftOf(until, now))
      told.push("skein-deadline", left)
      if (tellsGrpc) told.push("grpc-timeout", grpcTimeout(leftOf(until, now)))
    }
    if (attempt !== 0) told.push("skein-attempt", String(attempt))
    return told
  }

  /** The caller broke the contract: the endpoint gets nothing more of this. */
  #refuse(what: string): void {
    const fault = this.#pool.fault("bad_request", what, this.sent)
    const receiver = this.#receiver
    this.#abandon(Http2Code.cancel)
    // In a microtask, like every fault that is known while the caller is still calling.
    queueMicrotask(() => {
      try {
        receiver?.onFault(fault)
      } catch (error) {
        this.#pool.defect(error)
      }
    })
  }

  #abandon(code: number): void {
    const stream = this.#stream
    const session = this.#session
    this.#release()
    if (stream !== undefined) session?.abandon(stream, code)
  }

  #release(): ResponseReceiver | undefined {
    const receiver = this.#receiver
    this.#receiver = undefined
    this.#stream = undefined
    this.#session = undefined
    this.#kept = []
    this.#pool.forget(this)
    const awaited = this.awaited
    this.awaited = undefined
    awaited?.forget(this)
    return receiver
  }
}

/** So many new connections are made for one request to a program that takes none on any. */
const mostTurns = 3

/** What is wrong with such a program, in the words of faults. */
export const takesNone = "takes no requests (its settings say MAX_CONCURRENT_STREAMS = 0)"

/** Index of a field's name, which is in small letters; -1: there is none. */
const placeOf = (fields: Fields, name: string): number => {
  for (let i = 0; i < fields.length; i += 2) {
    const candidate = fields[i]!
    if (candidate.length === name.length && candidate.toLowerCase() === name) return i
  }
  return -1
}

const leftOf = (until: number, now: number): number => Math.max(1, Math.floor(until - now))

/** At most eight digits and a unit. */
const grpcTimeout = (millis: number): string =>
  millis < 1e8 ? `${millis}m` : `${Math.min(99_999_999, Math.ceil(millis / 1_000))}S`
