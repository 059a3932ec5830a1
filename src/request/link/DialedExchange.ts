/**
 * One exchange at the calling end of a link: the caller's stream, and what the peer's frames mean
 * for its receiver.
 */
import {
  accepted,
  type Call,
  type Fields,
  type RequestStream,
  type ResponseHead,
  type ResponseReceiver
} from "../../model/Exchange.ts"
import type { Fault, FaultCode } from "../../model/Fault.ts"
import {
  asTunnel,
  endRequest,
  endResponse,
  type Halves,
  isOver,
  isResponseEnded,
  isTunnel,
  openHalves
} from "../../model/Halves.ts"
import type { ServiceName } from "../../model/Names.ts"
import { FrameType, ProtocolError } from "../wire/Frame.ts"
import { decodeFault, decodeTrailers, encodeFault } from "../wire/FramePayload.ts"
import { Inbox, type InboxOwner } from "../wire/Inbox.ts"
import { readNumber } from "../wire/LinkSession.ts"
import { Outbox, type OutboxOwner } from "../wire/Outbox.ts"
import type { ExchangeHost } from "./ExchangeHost.ts"

/**
 * Bytes of interim heads before the head. They need no credit; the peer's node lets a program send a
 * quarter of it (Http1Limits.interimBytes).
 */
const mostInfo = 1024 * 1024

export class DialedExchange implements RequestStream, OutboxOwner, InboxOwner {
  readonly id: number
  readonly #link: ExchangeHost
  readonly #service: ServiceName
  /** Of the request; decides a response's framing. A tcp call is answered as CONNECT is. */
  readonly #method: string
  /** The write that carries the open frame. */
  readonly #batch: number
  /** Made for the first byte of a request's body: most requests have none. */
  #outbox: Outbox | undefined = undefined
  readonly #inbox: Inbox
  #receiver: ResponseReceiver | undefined
  #open = true
  #written = false
  #headSeen = false
  #endSeen = false
  #infoBytes = 0
  /** The request's has ended when its end is sent, the response's when the receiver was told. */
  #halves: Halves
  /** What broke it, while some of the response was still to be told. */
  #fault: Fault | undefined = undefined
  /** Why the caller gave up, while some of what it had said was still to be sent. */
  #cancelled: Fault | undefined = undefined

  constructor(link: ExchangeHost, id: number, call: Call, receiver: ResponseReceiver) {
    const { output, limits, growth } = link.session
    this.id = id
    this.#link = link
    this.#service = call.service
    this.#method = call.head?.method ?? "CONNECT"
    this.#halves = openHalves(call.head === undefined)
    this.#receiver = receiver
    this.#batch = output.batch
    this.#inbox = new Inbox(limits.window, growth, this)
  }

  // The caller's calls

  write(chunk: Uint8Array): boolean {
    if (this.#receiver === undefined || this.#written || this.#fault !== undefined) return true
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
    this.#receiver = undefined
    this.#cancelled = fault
    // In a tunnel what the caller said before is still the endpoint's, as far as that takes it now.
    if (isTunnel(this.#halves) && this.#outbox !== undefined) this.#outbox.break("credit")
    else this.onBroken()
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
        else {
          this.#infoBytes += payload.length
          this.#expect(this.#infoBytes <= mostInfo, "too many interim heads")
        }
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
        this.#break(decodeFault(payload))
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
    const { remoteName } = this.#link
    const fault = sent
      ? this.#decide("upstream_reset", `the link to ${remoteName} broke: ${why}`, true)
      : this.#decide("upstream_connect", `the link to ${remoteName} broke before: ${why}`, false)
    this.#break(fault)
  }

  /** Something behind the receiver threw: its exchange is given up, the link goes on. */
  fail(error: unknown): void {
    this.#link.defect(error)
    if (this.#receiver === undefined) return
    const fault = this.#decide("upstream_reset", "the caller's side failed", true)
    this.#link.session.output.frame(FrameType.reset, this.id, encodeFault(fault))
    this.#over(fault)
  }

  // OutboxOwner

  onRoom(): void {
    this.#receiver?.onWritable()
  }

  onDrained(trailers: Fields): void {
    if (this.#link.session.output.end(this.id, trailers)) {
      this.#halves = endRequest(this.#halves)
      if (isOver(this.#halves)) this.#free()
      return
    }
    const fault = this.#decide("head_too_large", "the request's trailers cannot cross a link", true)
    this.#link.session.output.frame(FrameType.reset, this.id, encodeFault(fault))
    queueMicrotask(() => this.#over(fault))
  }

  onBroken(): void {
    if (!this.#open) return
    const fault = this.#cancelled
    this.#free()
    if (fault !== undefined) {
      this.#link.session.output.frame(FrameType.reset, this.id, encodeFault(fault))
    }
  }

  // InboxOwner

  deliver(chunk: Uint8Array): boolean {
    return this.#receiver === undefined || this.#receiver.onData(chunk)
  }

  deliverEnd(trailers: Fields): void {
    const receiver = this.#receiver
    this.#halves = endResponse(this.#halves)
    if (isOver(this.#halves)) this.#free()
    receiver?.onEnd(trailers)
  }

  deliverBreak(): void {
    if (this.#fault !== undefined) this.#over(this.#fault)
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
      head = this.#link.heads.decodeResponse(payload, 1, this.#method, section)
    } catch (error) {
      const fault = this.#decide("upstream_reset", `unreadable response head: ${error}`, true)
      this.#link.session.output.frame(FrameType.reset, this.id, encodeFault(fault))
      this.#over(fault)
      return
    }
    const interim = head.status < 200 && head.status !== 101
    this.#expect(interim === (type === FrameType.info), `status ${head.status} out of place`)
    if (head.status === 101) this.#halves = asTunnel(this.#halves)
    else if (isTunnel(this.#halves))
      this.#expect(head.status === accepted.status, "an answer to a tcp call")
    if (type === FrameType.info) this.#receiver?.onInfo(head)
    else this.#receiver?.onHead(head)
  }

  /** Both halves have ended for the caller; what it wrote may still be on its way out. */
  get #callerDone(): boolean {
    return this.#written && isResponseEnded(this.#halves)
  }

  /**
   * The peer, or the link, broke it off. What came before is passed on first, for its reader may be
   * slower than the peer, which closes as soon as it has sent everything.
   */
  #break(fault: Fault): void {
    this.#fault ??= fault
    this.#inbox.break()
  }

  /** The exchange ends with a fault. */
  #over(fault: Fault): void {
    if (!this.#open) return
    const receiver = this.#receiver
    const callerDone = this.#callerDone
    this.#free()
    if (receiver === undefined || callerDone) return
    try {
      receiver.onFault(fault)
    } catch (error) {
      this.#link.defect(error)
    }
  }

  #free(): void {
    if (!this.#open) return
    this.#open = false
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

  /** A fault that this end of the link decides. */
  #decide(code: FaultCode, message: string, sent: boolean): Fault {
    return this.#link.fault(code, message, this.#service, sent)
  }
}
