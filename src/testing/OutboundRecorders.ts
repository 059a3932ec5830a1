/** For tests of the outbound stack: both sides of an exchange, and the observer, by hand. */
import {
  type Call,
  type Fields,
  noBody,
  noFields,
  type RequestStream,
  type ResponseHead,
  type ResponseReceiver,
  streamBody
} from "../model/Exchange.ts"
import type { Fault, FaultCode } from "../model/Fault.ts"
import type { PeerKey } from "../model/Names.ts"
import type { Observer, Outcome } from "../model/Observer.ts"

/** One attempt, as the endpoint's side sees it. */
export class SentCall implements RequestStream {
  readonly call: Call
  /** The node it went to. */
  readonly peer: PeerKey
  readonly receiver: ResponseReceiver
  readonly chunks: Array<Uint8Array> = []
  trailers: Fields | undefined = undefined
  cancelled: Fault | undefined = undefined
  resumed = 0
  /** What `write` returns. */
  writable = true
  over = false
  #tunnel: boolean
  #answered = false

  constructor(call: Call, peer: PeerKey, receiver: ResponseReceiver) {
    this.call = call
    this.#tunnel = call.kind === "tcp"
    this.peer = peer
    this.receiver = receiver
  }

  get body(): string {
    return Buffer.concat(this.chunks).toString()
  }

  write(chunk: Uint8Array): boolean {
    if (!this.over && this.cancelled === undefined) this.chunks.push(chunk)
    return this.writable
  }

  end(trailers: Fields): void {
    this.trailers = trailers
    if (this.#answered) this.over = true
  }

  cancel(fault: Fault): void {
    if (!this.over) this.cancelled = fault
  }

  resume(): void {
    this.resumed++
  }

  head(status: number, fields: Fields = noFields): this {
    const upgrade = status === 101 ? "websocket" : undefined
    if (status === 101) this.#tunnel = true
    this.receiver.onHead({ status, reason: "", fields, framing: streamBody, upgrade })
    return this
  }

  info(status: number): this {
    this.receiver.onInfo({
      status,
      reason: "",
      fields: noFields,
      framing: noBody,
      upgrade: undefined
    })
    return this
  }

  data(text: string): boolean {
    return this.receiver.onData(Buffer.from(text))
  }

  /** In a tunnel the other half goes on (Exchange.ts, rule 7). */
  finish(trailers: Fields = noFields): void {
    this.#answered = true
    if (!this.#tunnel || this.trailers !== undefined) this.over = true
    this.receiver.onEnd(trailers)
  }

  respond(status: number, body = "", fields: Fields = noFields): void {
    this.head(status, fields)
    // A retryable head is answered with cancel; a real endpoint then stops too.
    if (this.cancelled !== undefined) return
    if (body !== "") this.data(body)
    this.finish()
  }

  fault(code: FaultCode, sent: boolean, retryAfter?: number): void {
    this.over = true
    this.receiver.onFault({
      code,
      message: `scripted ${code}`,
      node: "remote",
      service: this.call.service,
      sent,
      ...(retryAfter === undefined ? {} : { retryAfter })
    })
  }

  drained(): void {
    this.writable = true
    this.receiver.onWritable()
  }
}

/** The caller's side; fails on any breach of the contract of model/Exchange.ts. */
export class RecordingReceiver implements ResponseReceiver {
  readonly infos: Array<number> = []
  readonly chunks: Array<Uint8Array> = []
  head: ResponseHead | undefined = undefined
  fault: Fault | undefined = undefined
  trailers: Fields | undefined = undefined
  writables = 0
  /** What `onData` returns. */
  hungry = true
  /** Set once dispatch has returned. */
  dispatched = false
  tunnel = false
  cancelled = false
  /** To be set by whoever ends the request of a tunnel. */
  callerEnded = false

  /** In a tunnel: both halves have ended (Exchange.ts, rule 7). */
  get done(): boolean {
    if (this.fault !== undefined) return true
    return this.trailers !== undefined && (!this.#hasHalves || this.callerEnded)
  }

  get #hasHalves(): boolean {
    return this.tunnel || this.head?.status === 101
  }

  get body(): string {
    return Buffer.concat(this.chunks).toString()
  }

  onInfo(head: ResponseHead): void {
    this.#check(this.head === undefined, "onInfo after onHead")
    this.infos.push(head.status)
  }

  onHead(head: ResponseHead): void {
    this.#check(this.head === undefined, "second onHead")
    this.head = head
  }

  onData(chunk: Uint8Array): boolean {
    this.#check(this.tunnel || this.head !== undefined, "onData before onHead")
    this.#check(this.trailers === undefined, "onData after onEnd")
    this.chunks.push(chunk)
    return this.hungry
  }

  onEnd(trailers: Fields): void {
    this.#check(this.trailers === undefined, "second onEnd")
    this.trailers = trailers
  }

  onFault(fault: Fault): void {
    this.#check(true, "onFault")
    this.fault = fault
  }

  onWritable(): void {
    this.#check(true, "onWritable")
    this.writables++
  }

  #check(allowed: boolean, what: string): void {
    if (!this.dispatched) throw new Error(`${what}: called before dispatch returned`)
    if (this.done) throw new Error(`${what}: called after the end`)
    if (this.cancelled) throw new Error(`${what}: called after cancel`)
    if (!allowed) throw new Error(what)
  }
}

export interface RecordedObservation {
  readonly endpoints: Array<string>
  readonly events: Array<string>
  readonly ends: Array<{ readonly outcome: Outcome; readonly in: number; readonly out: number }>
  status: number | undefined
}

export class RecordingObserver implements Observer {
  readonly all: Array<RecordedObservation> = []
  forwardFields: Fields | undefined = undefined

  begin(info: { readonly fields: Fields }) {
    const record: RecordedObservation = { endpoints: [], events: [], ends: [], status: undefined }
    this.all.push(record)
    return {
      forwardFields: this.forwardFields ?? info.fields,
      responded: (status: number) => {
        record.status = status
      },
      endpoint: (key: string) => {
        record.endpoints.push(key)
      },
      event: (name: string) => {
        record.events.push(name)
      },
      end: (outcome: Outcome, bytesIn: number, bytesOut: number) => {
        record.ends.push({ outcome, in: bytesIn, out: bytesOut })
      }
    }
  }
}
