/** For tests of the outbound stack: a clock moved by hand, scripted endpoints, recorders. */
import {
  type Call,
  type Dispatch,
  type Fields,
  noBody,
  noFields,
  type RequestHead,
  type RequestStream,
  type ResponseHead,
  type ResponseReceiver,
  streamBody
} from "../model/Exchange.ts"
import type { Fault, FaultCode } from "../model/Fault.ts"
import { type EndpointView, MeshViewSource, type ServiceView } from "../model/MeshView.ts"
import { NodeName, PeerKey, ServiceName } from "../model/Names.ts"
import type { Observer, Outcome } from "../model/Observer.ts"
import { makePolicy, type PolicyInput } from "../model/Policy.ts"
import type { Ticker } from "../model/Time.ts"
import { TimerWheel } from "../model/TimerWheel.ts"
import { MetricRegistry } from "../telemetry/Metrics.ts"
import { makeOutbound, type Outbound } from "./Outbound.ts"

/** mulberry32: small, and the same on every machine. */
export const seededRandom = (seed: number): (() => number) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

export class ManualTicker implements Ticker {
  readonly wheel = new TimerWheel(0)
  readonly random: () => number
  #now = 0

  constructor(random: () => number = seededRandom(1)) {
    this.random = random
  }

  now(): number {
    return this.#now
  }

  wall(): number {
    return Date.UTC(2030, 0, 1) + this.#now
  }

  after(delay: number, callback: () => void) {
    return this.wheel.schedule(this.#now, delay, callback)
  }

  /** Moves time in steps of the wheel, so that timers set by timers fire in their order. */
  advance(ms: number): void {
    const end = this.#now + ms
    while (this.#now < end) {
      this.#now = Math.min(end, this.#now + this.wheel.resolution)
      this.wheel.advance(this.#now)
    }
  }
}

/** Lets faults that are delivered in a microtask arrive. */
export const microtasks = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

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

export const payments = ServiceName.make("payments")
export const selfPeer = PeerKey.make(`${"1".repeat(20)}Se1f`)
export const peerKey = (letter: string): PeerKey => PeerKey.make(letter.repeat(24))

/** An endpoint of the node named like its peer's letter. */
export const endpointView = (letter: string, change: Partial<EndpointView> = {}): EndpointView => ({
  key: `${peerKey(letter)}/0`,
  peer: peerKey(letter),
  node: NodeName.make(`node-${letter}`),
  zone: undefined,
  endpoint: "0",
  healthy: true,
  draining: false,
  member: "alive",
  weight: 100,
  local: false,
  ...change
})

export const serviceView = (
  endpoints: ReadonlyArray<EndpointView>,
  protocol: ServiceView["protocol"] = "http",
  name = payments
): ServiceView => ({ name, protocol, endpoints })

export const requestHead = (method: string, change: Partial<RequestHead> = {}): RequestHead => ({
  method,
  target: "/",
  authority: "payments.mesh",
  fields: noFields,
  framing: noBody,
  upgrade: undefined,
  expectsContinue: false,
  ...change
})

/** An Outbound among scripted endpoints. */
export class Fixture {
  readonly ticker: ManualTicker
  readonly view = new MeshViewSource()
  readonly metrics = new MetricRegistry()
  readonly observer = new RecordingObserver()
  readonly outbound: Outbound
  /** All attempts, in order. */
  readonly sent: Array<SentCall> = []

  constructor(
    policy: PolicyInput,
    endpoints: ReadonlyArray<EndpointView>,
    options: { readonly protocol?: ServiceView["protocol"]; readonly random?: () => number } = {}
  ) {
    this.ticker = new ManualTicker(options.random)
    this.show(endpoints, options.protocol)
    const remote =
      (peer: PeerKey): Dispatch =>
      (call, receiver) => {
        const sent = new SentCall(call, peer, receiver)
        this.sent.push(sent)
        return sent
      }
    this.outbound = makeOutbound({
      self: { peer: selfPeer, node: "here" },
      view: this.view,
      policies: new Map([[payments, makePolicy(policy)]]),
      ticker: this.ticker,
      metrics: this.metrics,
      observer: this.observer,
      local: remote(selfPeer),
      remote
    })
  }

  show(endpoints: ReadonlyArray<EndpointView>, protocol?: ServiceView["protocol"]): void {
    this.view.set(new Map([[payments, serviceView(endpoints, protocol)]]))
  }

  /** Sends a request; without body unless told. */
  request(
    method = "GET",
    options: {
      readonly body?: boolean
      readonly deadline?: number
      readonly head?: Partial<RequestHead>
    } = {}
  ) {
    return this.#dispatch("http", requestHead(method, options.head), options.deadline, options.body)
  }

  tunnel() {
    const opened = this.#dispatch("tcp", undefined, undefined, true)
    opened.receiver.tunnel = true
    return opened
  }

  /** The attempt sent last. */
  get last(): SentCall {
    const last = this.sent.at(-1)
    if (last === undefined) throw new Error("nothing was sent")
    return last
  }

  /** The letter of the node each attempt went to. */
  get trail(): string {
    return this.observer.all.flatMap((one) => one.endpoints.map((key) => key[0])).join("")
  }

  counter(name: string): Record<string, number> {
    const family = this.metrics.families.get(name)
    const values: Record<string, number> = {}
    for (const { cell, labels } of family?.cells.values() ?? []) {
      if ("value" in cell && cell.value !== 0) {
        values[Object.values(labels).slice(1).join(" ")] = cell.value
      }
    }
    return values
  }

  #dispatch(
    kind: Call["kind"],
    head: RequestHead | undefined,
    deadline: number | undefined,
    body = false
  ) {
    const receiver = new RecordingReceiver()
    const stream = this.outbound.dispatch(
      {
        kind,
        service: payments,
        head,
        endpoint: undefined,
        caller: selfPeer,
        deadline,
        attempt: 0
      },
      receiver
    )
    receiver.dispatched = true
    if (!body) stream.end(noFields)
    const observed = this.observer.all.at(-1)
    if (observed === undefined) throw new Error("dispatch began no observation")
    return {
      receiver,
      observed,
      stream,
      cancel: () => {
        receiver.cancelled = true
        stream.cancel({
          code: "client_gone",
          message: "the caller left",
          node: "here",
          service: payments,
          sent: true
        })
      }
    }
  }
}
