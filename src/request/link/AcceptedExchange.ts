/**
 * One exchange at the serving end of a link: a receiver for the callee, and what the peer's frames
 * mean for the callee's stream.
 */

import type {
  Call,
  Dispatch,
  Fields,
  RequestStream,
  ResponseHead,
  ResponseReceiver
} from "../../model/Exchange.ts"
import type { Fault, FaultCode } from "../../model/Fault.ts"
import {
  asTunnel,
  endRequest,
  endResponse,
  type Halves,
  isOver,
  isResponseEnded,
  openHalves
} from "../../model/Halves.ts"
import type { ServiceName } from "../../model/Names.ts"
import { sectionOf } from "../http1/FieldSection.ts"
import { FrameType, frameLimits, ProtocolError } from "../wire/Frame.ts"
import { decodeFault, decodeTrailers, encodeFault, isLatin1 } from "../wire/FramePayload.ts"
import { Inbox, type InboxOwner } from "../wire/Inbox.ts"
import { sectionBytes } from "../wire/LinkSections.ts"
import { readNumber } from "../wire/LinkSession.ts"
import { Outbox, type OutboxOwner } from "../wire/Outbox.ts"
import type { ExchangeHost } from "./ExchangeHost.ts"

export class AcceptedExchange implements ResponseReceiver, OutboxOwner, InboxOwner {
  readonly id: number
  readonly service: ServiceName
  readonly #link: ExchangeHost
  readonly #method: string
  readonly #outbox: Outbox
  /** Made for the first byte of a request's body: most requests have none. */
  #inbox: Inbox | undefined = undefined
  /** Undefined once the callee is done with the exchange, or was told that it is over. */
  #upstream: RequestStream | undefined = undefined
  #open = true
  #endSeen = false
  /** As the callee has them: it has the whole request, it has ended the response. */
  #halves: Halves
  /** The response's end is sent. */
  #endSent = false
  /** What broke the exchange while some of the response was still to be sent. */
  #fault: Fault | undefined = undefined

  constructor(link: ExchangeHost, id: number, call: Call) {
    this.id = id
    this.service = call.service
    this.#link = link
    this.#method = call.head?.method ?? "CONNECT"
    this.#halves = openHalves(call.kind === "tcp")
    this.#outbox = new Outbox(id, link.session.limits.window.first, this)
  }

  begin(serve: Dispatch, call: Call): void {
    try {
      this.#upstream = serve(call, this)
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
      case FrameType.data: {
        this.#expect(!this.#endSeen, "data after the end")
        const { limits, growth } = this.#link.session
        this.#inbox ??= new Inbox(limits.window, growth, this)
        this.#expect(this.#inbox.receive(payload), "data beyond its credit")
        return
      }
      case FrameType.end: {
        this.#expect(!this.#endSeen, "a second end")
        this.#endSeen = true
        const trailers = decodeTrailers(payload)
        if (this.#inbox === undefined) this.deliverEnd(trailers)
        else this.#inbox.end(trailers)
        return
      }
      case FrameType.reset:
        this.cancel(decodeFault(payload))
        return
      case FrameType.credit:
        this.#link.session.output.grant(this.#outbox, readNumber(payload))
        return
      default:
        this.#expect(false, `a frame of type ${type} from the caller's end`)
    }
  }

  /** The caller, or its node, is gone. */
  cancel(fault: Fault): void {
    const upstream = this.#upstream
    this.#free()
    try {
      upstream?.cancel(fault)
    } catch (error) {
      this.#link.defect(error)
    }
  }

  /** Something behind the inbound stack threw: its exchange is given up, the link goes on. */
  fail(error: unknown): void {
    this.#link.defect(error)
    this.#give("upstream_reset", "the serving node failed inside")
  }

  // The callee's calls

  onInfo(head: ResponseHead): void {
    this.#sendHead(FrameType.info, head)
  }

  onHead(head: ResponseHead): void {
    if (head.status === 101) this.#halves = asTunnel(this.#halves)
    this.#sendHead(FrameType.head, head)
  }

  onData(chunk: Uint8Array): boolean {
    if (!this.#open) return true
    return this.#link.session.output.put(this.#outbox, chunk)
  }

  onEnd(trailers: Fields): void {
    if (!this.#open) return
    this.#halves = endResponse(this.#halves)
    // Unless it is a tunnel's, the rest of the request is nobody's any more; what comes of it is
    // dropped and credited.
    if (isOver(this.#halves)) this.#upstream = undefined
    this.#outbox.end(trailers)
  }

  /** What came before it, its end included, is the caller's all the same. */
  onFault(fault: Fault): void {
    if (!this.#open) return
    this.#upstream = undefined
    this.#fault = fault
    if (!isResponseEnded(this.#halves)) this.#outbox.break("all")
    else if (this.#endSent) this.onBroken()
  }

  onWritable(): void {
    if (!this.#open) return
    try {
      this.#inbox?.resume()
    } catch (error) {
      this.#caught(error)
    }
  }

  // OutboxOwner

  onRoom(): void {
    this.#upstream?.resume()
  }

  onDrained(trailers: Fields): void {
    if (!this.#link.session.output.end(this.id, trailers)) {
      this.#give("upstream_reset", "the response's trailers cannot cross a link")
      return
    }
    this.#endSent = true
    if (this.#fault !== undefined) this.onBroken()
    else if (isOver(this.#halves)) this.#free()
  }

  onBroken(): void {
    const fault = this.#fault
    this.#free()
    if (fault !== undefined) {
      this.#link.session.output.frame(FrameType.reset, this.id, encodeFault(fault))
    }
  }

  // InboxOwner

  deliver(chunk: Uint8Array): boolean {
    return this.#upstream === undefined || this.#upstream.write(chunk)
  }

  deliverEnd(trailers: Fields): void {
    this.#halves = endRequest(this.#halves)
    const upstream = this.#upstream
    if (isOver(this.#halves)) this.#upstream = undefined
    upstream?.end(trailers)
    if (this.#endSent) this.#free()
  }

  /** A caller that gives up wants nothing delivered that its endpoint does not take at once. */
  deliverBreak(): void {}

  passed(bytes: number, grant: number): void {
    this.#link.session.passed(bytes)
    if (grant > 0 && !this.#endSeen) {
      this.#link.session.output.number(FrameType.credit, this.id, grant)
    }
  }

  #sendHead(type: FrameType, head: ResponseHead): void {
    if (!this.#open) return
    const { heads, sections } = this.#link
    const section = sectionOf(head.fields)
    const number = section === undefined ? 0 : sections.numberOf(section)
    const text = heads.encodeResponse(head, this.#method, number === 0 ? undefined : section)
    if (text.length > frameLimits.head) {
      const most = `at most ${frameLimits.head} cross a link`
      this.#give("upstream_reset", `the response's head has ${text.length} bytes; ${most}`)
    } else if (!isLatin1(text)) {
      this.#give("upstream_reset", "the response's head is not HTTP/1.1 text")
    } else {
      this.#link.session.output.text(type, this.id, sectionBytes[number], text)
    }
  }

  /** Ends the exchange from here, towards both sides. */
  #give(code: FaultCode, message: string): void {
    if (!this.#open) return
    const fault = this.#link.fault(code, message, this.service, true)
    this.cancel(fault)
    this.#link.session.output.frame(FrameType.reset, this.id, encodeFault(fault))
  }

  #free(): void {
    if (!this.#open) return
    this.#open = false
    this.#upstream = undefined
    this.#link.session.output.drop(this.#outbox)
    const held = this.#inbox?.free() ?? 0
    if (held > 0) this.#link.session.passed(held)
    this.#link.remove(this.id)
  }

  /** The peer's fault ends the link, ours only the exchange. */
  #caught(error: unknown): void {
    if (error instanceof ProtocolError) throw error
    this.fail(error)
  }

  #expect(condition: boolean, what: string): asserts condition {
    if (!condition) throw new ProtocolError(`${what} on exchange ${this.id}`)
  }
}
