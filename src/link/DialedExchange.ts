/**
 * One exchange at the calling end of a link: the caller's stream, and what the peer's frames mean
 * for its receiver.
 */
import type {
  Call,
  Fields,
  RequestStream,
  ResponseHead,
  ResponseReceiver
} from "../model/Exchange.ts"
import type { Fault, FaultCode } from "../model/Fault.ts"
import type { ServiceName } from "../model/Names.ts"
import type { ExchangeHost } from "./ExchangeHost.ts"
import { FrameType, ProtocolError } from "./Frame.ts"
import { decodeFault, decodeTrailers, encodeFault } from "./FramePayload.ts"
import { Inbox, type InboxOwner } from "./Inbox.ts"
import { readNumber } from "./LinkSession.ts"
import { Outbox, type OutboxOwner } from "./Outbox.ts"

export class DialedExchange implements RequestStream, OutboxOwner, InboxOwner {
  readonly id: number
  readonly #link: ExchangeHost
  readonly #service: ServiceName
  /** Of the request; decides a response's framing. Undefined for tcp. */
  readonly #method: string | undefined
  /** The write that carries the open frame. */
  readonly #batch: number
  /** Made for the first byte of a request's body: most requests have none. */
  #outbox: Outbox | undefined = undefined
  readonly #inbox: Inbox
  #receiver: ResponseReceiver | undefined
  #written = false
  #headSeen: boolean
  #endSeen = false
  /** Its halves end on their own (Exchange.ts, rule 7). */
  #tunnel: boolean
  /** Of a tunnel: our end is sent; the receiver was told the response's. */
  #endSent = false
  #answered = false
  /** What broke the request's half while the end of the response was still to be told. */
  #later: Fault | undefined = undefined

  constructor(link: ExchangeHost, id: number, call: Call, receiver: ResponseReceiver) {
    const { output, limits, growth } = link.session
    this.id = id
    this.#link = link
    this.#service = call.service
    this.#method = call.head?.method
    this.#headSeen = call.head === undefined
    this.#tunnel = call.head === undefined
    this.#receiver = receiver
    this.#batch = output.batch
    this.#inbox = new Inbox(limits.window, growth, this)
  }

  // The caller's calls

  write(chunk: Uint8Array): boolean {
    if (this.#receiver === undefined || this.#written) return true
    return this.#link.session.output.put(this.#sending(), chunk)
  }

  end(trailers: Fields): void {
    if (this.#receiver === undefined || this.#written) return
    this.#written = true
    if (this.#outbox === undefined) this.onDrained(trailers)
    else this.#outbox.end(trailers)
  }

  cancel(fault: Fault): void {
    if (this.#receiver === undefined || this.#callerDone) return
    this.#free()
    this.#link.session.output.frame(FrameType.reset, this.id, encodeFault(fault))
  }

  resume(): void {
    if (this.#receiver === undefined) return
    try {
      this.#inbox.resume()
    } catch (error) {
      this.#caught(error)
    }
  }

  // The peer's frames

  onFrame(type: FrameType, payload: Buffer): void {
    try {
      this.#take(type, payload)
    } catch (error) {
      this.#caught(error)
    }
  }

  #take(type: FrameType, payload: Buffer): void {
    switch (type) {
      case FrameType.info:
      case FrameType.head:
        this.#expect(!this.#headSeen, "a second head")
        if (type === FrameType.head) this.#headSeen = true
        this.#onHead(type, payload)
        return
      case FrameType.data:
        this.#expect(this.#headSeen && !this.#endSeen, "data out of place")
        this.#expect(this.#inbox.receive(payload), "data beyond its credit")
        return
      case FrameType.end: {
        this.#expect(this.#headSeen && !this.#endSeen, "an end out of place")
        const trailers = decodeTrailers(payload)
        this.#endSeen = true
        this.#inbox.end(trailers)
        return
      }
      case FrameType.reset:
        this.#onReset(decodeFault(payload))
        return
      case FrameType.credit:
        this.#link.session.output.grant(this.#sending(), readNumber(payload))
        return
      default:
        this.#expect(false, `a frame of type ${type} from the server's end`)
    }
  }

  onLinkDown(why: string): void {
    const sent = this.#batch < this.#link.session.output.batch
    const { remote } = this.#link
    const fault = sent
      ? this.#fault("upstream_reset", `the link to ${remote} broke: ${why}`, true)
      : this.#fault("upstream_connect", `the link to ${remote} broke before: ${why}`, false)
    // A response that has come whole is passed on whole: its reader may be slower than the peer,
    // which closes as soon as it has sent everything.
    if (this.#endSeen && !this.#answered) this.#later = fault
    else this.#over(fault)
  }

  /** Something behind the receiver threw: its exchange is given up, the link goes on. */
  fail(error: unknown): void {
    this.#link.defect(error)
    if (this.#receiver === undefined) return
    const fault = this.#fault("upstream_reset", "the caller's side failed", true)
    this.#link.session.output.frame(FrameType.reset, this.id, encodeFault(fault))
    this.#over(fault)
  }

  // OutboxOwner

  onRoom(): void {
    this.#receiver?.onWritable()
  }

  onDrained(trailers: Fields): void {
    if (this.#link.session.output.end(this.id, trailers)) {
      this.#endSent = true
      if (this.#answered) this.#free()
      return
    }
    const fault = this.#fault("head_too_large", "the request's trailers cannot cross a link", true)
    this.#link.session.output.frame(FrameType.reset, this.id, encodeFault(fault))
    queueMicrotask(() => this.#over(fault))
  }

  // InboxOwner

  deliver(chunk: Uint8Array): boolean {
    return this.#receiver === undefined || this.#receiver.onData(chunk)
  }

  deliverEnd(trailers: Fields): void {
    const receiver = this.#receiver
    if (this.#tunnel && !this.#endSent) this.#answered = true
    else this.#free()
    receiver?.onEnd(trailers)
    if (this.#later !== undefined) this.#over(this.#later)
  }

  passed(bytes: number, grant: number): void {
    this.#link.session.passed(bytes)
    if (grant > 0 && !this.#endSeen) {
      this.#link.session.output.number(FrameType.credit, this.id, grant)
    }
  }

  #onHead(type: FrameType, payload: Buffer): void {
    this.#expect(payload.length > 0, "an empty head")
    const section = this.#link.sections.of(payload[0]!)
    let head: ResponseHead
    try {
      head = this.#link.heads.decodeResponse(payload, 1, this.#method ?? "GET", section)
    } catch (error) {
      const fault = this.#fault("upstream_reset", `unreadable response head: ${error}`, true)
      this.#link.session.output.frame(FrameType.reset, this.id, encodeFault(fault))
      this.#over(fault)
      return
    }
    const interim = head.status < 200 && head.status !== 101
    this.#expect(interim === (type === FrameType.info), `status ${head.status} out of place`)
    if (head.status === 101) this.#tunnel = true
    if (type === FrameType.info) this.#receiver?.onInfo(head)
    else this.#receiver?.onHead(head)
  }

  /** Both halves have ended for the caller; what it wrote may still be on its way out. */
  get #callerDone(): boolean {
    return this.#written && this.#answered
  }

  /** A response that has come whole is passed on whole, also when the tunnel's other half broke. */
  #onReset(fault: Fault): void {
    if (this.#tunnel && this.#endSeen && !this.#answered) this.#later = fault
    else this.#over(fault)
  }

  /** The exchange ends with a fault. */
  #over(fault: Fault): void {
    const receiver = this.#receiver
    if (receiver === undefined) return
    const callerDone = this.#callerDone
    this.#free()
    if (callerDone) return
    try {
      receiver.onFault(fault)
    } catch (error) {
      this.#link.defect(error)
    }
  }

  #free(): void {
    this.#receiver = undefined
    if (this.#outbox !== undefined) this.#link.session.output.drop(this.#outbox)
    const held = this.#inbox.free()
    if (held > 0) this.#link.session.passed(held)
    this.#link.remove(this.id)
  }

  #sending(): Outbox {
    this.#outbox ??= new Outbox(this.id, this.#link.session.limits.window.first, this)
    return this.#outbox
  }

  /** The peer's fault ends the link, ours only the exchange. */
  #caught(error: unknown): void {
    if (error instanceof ProtocolError) throw error
    this.fail(error)
  }

  #expect(condition: boolean, what: string): asserts condition {
    if (!condition) throw new ProtocolError(`${what} on exchange ${this.id}`)
  }

  #fault(code: FaultCode, message: string, sent: boolean): Fault {
    return this.#link.fault(code, message, this.#service, sent)
  }
}
