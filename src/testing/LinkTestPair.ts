/** For the tests of this folder: two ends of a link in memory, on a clock and a pump of their own. */
import { hostCaller } from "../model/Caller.ts"
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
import type { Fault } from "../model/Fault.ts"
import { NodeName, PeerKey, ServiceName } from "../model/Names.ts"
import type { Ticker } from "../model/Time.ts"
import { TimerWheel } from "../model/TimerWheel.ts"
import { AcceptedLink } from "../request/link/AcceptedLink.ts"
import { DialedLink } from "../request/link/DialedLink.ts"
import { http1Heads } from "../request/wire/Http1Heads.ts"
import type { LinkLimits } from "../request/wire/LinkOptions.ts"
import { type MemoryChannelOptions, makeMemoryChannels } from "./MemoryChannel.ts"

export const alice = PeerKey.make("12D3KooWA1iceA1iceA1iceA1iceA1iceA1iceA1iceA1iceA1ic")
export const bob = PeerKey.make("12D3KooWBobBobBobBobBobBobBobBobBobBobBobBobBobBobBo")
export const payments = ServiceName.make("payments")

export class ManualTicker implements Ticker {
  #now = 0
  readonly #wheel = new TimerWheel(0)
  readonly random: () => number

  constructor(random: () => number = () => 0.5) {
    this.random = random
  }

  now(): number {
    return this.#now
  }

  wall(): number {
    return 1_700_000_000_000 + this.#now
  }

  after(delay: number, callback: () => void) {
    return this.#wheel.schedule(this.#now, delay, callback)
  }

  /** All at once, as after a stall. */
  jump(ms: number): void {
    this.#now += ms
    this.#wheel.advance(this.#now)
  }

  /** In small steps, as the real one; `between` runs after each. */
  advance(ms: number, between: () => void = () => {}): void {
    const end = this.#now + ms
    while (this.#now < end) {
      this.#now = Math.min(end, this.#now + 10)
      this.#wheel.advance(this.#now)
      between()
    }
  }
}

/** Tasks that run when the test says so. */
export class Pump {
  #tasks: Array<() => void> = []

  readonly defer = (task: () => void): void => {
    this.#tasks.push(task)
  }

  /** Runs what is there, without what that defers. False: nothing was there. */
  turn(): boolean {
    const tasks = this.#tasks
    this.#tasks = []
    for (const task of tasks) task()
    return tasks.length > 0
  }

  settle(): void {
    while (this.turn()) {
      // each turn may have deferred the next
    }
  }
}

export const getHead = (target = "/", fields: Fields = []): RequestHead => ({
  method: "GET",
  target,
  authority: "payments.mesh",
  fields,
  framing: noBody,
  upgrade: undefined,
  expectsContinue: false
})

export const postHead = (target = "/"): RequestHead => ({
  ...getHead(target),
  method: "POST",
  framing: streamBody
})

export const okHead = (status = 200): ResponseHead => ({
  status,
  reason: "OK",
  fields: ["content-type", "text/plain"],
  framing: streamBody,
  upgrade: undefined
})

export const httpCall = (head: RequestHead = getHead()): Call => ({
  kind: "http",
  service: payments,
  head,
  endpoint: "0",
  caller: alice,
  identity: hostCaller(NodeName.make(alice)),
  deadline: 1_500,
  attempt: 1
})

export const tcpCall = (): Call => ({
  kind: "tcp",
  service: payments,
  head: undefined,
  endpoint: undefined,
  caller: alice,
  identity: hostCaller(NodeName.make(alice)),
  deadline: undefined,
  attempt: 0
})

export const clientGone: Fault = {
  code: "client_gone",
  message: "the client closed its connection",
  node: "host-a",
  service: payments,
  sent: true
}

/** Keeps what it receives, and checks rules 1 and 2. */
export class Recorder implements ResponseReceiver {
  infos: Array<number> = []
  head: ResponseHead | undefined = undefined
  bytes = 0
  chunks: Array<Uint8Array> = []
  trailers: Fields | undefined = undefined
  fault: Fault | undefined = undefined
  writables = 0
  /** What onData answers. */
  more: (chunk: Uint8Array) => boolean = () => true
  onOver: () => void = () => {}
  #keep: boolean

  constructor(keep = true) {
    this.#keep = keep
  }

  get over(): boolean {
    return this.trailers !== undefined || this.fault !== undefined
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString("latin1")
  }

  onInfo(head: ResponseHead): void {
    this.#notOver("onInfo")
    this.infos.push(head.status)
  }

  onHead(head: ResponseHead): void {
    this.#notOver("onHead")
    if (this.head !== undefined) throw new Error("a second head")
    this.head = head
  }

  onData(chunk: Uint8Array): boolean {
    this.#notOver("onData")
    this.bytes += chunk.length
    if (this.#keep) this.chunks.push(chunk)
    return this.more(chunk)
  }

  onEnd(trailers: Fields): void {
    this.#notOver("onEnd")
    this.trailers = trailers
    this.onOver()
  }

  onFault(fault: Fault): void {
    this.#notOver("onFault")
    this.fault = fault
    this.onOver()
  }

  onWritable(): void {
    this.#notOver("onWritable")
    this.writables++
  }

  #notOver(what: string): void {
    if (this.over) throw new Error(`${what} after the end`)
  }
}

/** One call as it arrived at the serving end, to be answered by hand. */
export class Served implements RequestStream {
  readonly call: Call
  readonly receiver: ResponseReceiver
  chunks: Array<Uint8Array> = []
  bytes = 0
  trailers: Fields | undefined = undefined
  cancelled: Fault | undefined = undefined
  resumes = 0
  more: (chunk: Uint8Array) => boolean = () => true
  onTrailers: () => void = () => {}

  constructor(call: Call, receiver: ResponseReceiver) {
    this.call = call
    this.receiver = receiver
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString("latin1")
  }

  write(chunk: Uint8Array): boolean {
    this.chunks.push(chunk)
    this.bytes += chunk.length
    return this.more(chunk)
  }

  end(trailers: Fields): void {
    this.trailers = trailers
    this.onTrailers()
  }

  cancel(fault: Fault): void {
    if (this.cancelled !== undefined) throw new Error("cancelled twice")
    this.cancelled = fault
  }

  resume(): void {
    this.resumes++
  }

  answer(body: string): void {
    this.receiver.onHead(okHead())
    this.receiver.onData(Buffer.from(body, "latin1"))
    this.receiver.onEnd(noFields)
  }
}

export interface LinkPairOptions {
  readonly limits?: Partial<LinkLimits>
  readonly acceptedLimits?: Partial<LinkLimits>
  readonly channel?: Omit<MemoryChannelOptions, "defer">
  readonly serve?: Dispatch
  /** The link is of a version that says for whom calls speak. Default: no. */
  readonly carriesIdentity?: boolean
  /** As between a program and its node. Default: no. */
  readonly pastCircuits?: boolean
}

export const makeLinkPair = (options: LinkPairOptions = {}) => {
  const pump = new Pump()
  const ticker = new ManualTicker()
  const channels = makeMemoryChannels({ ...options.channel, defer: pump.defer })
  const { carriesIdentity = false, pastCircuits } = options
  for (const end of [channels.left, channels.right]) Object.assign(end, { carriesIdentity })
  const served: Array<Served> = []
  const defects: Array<unknown> = []
  const downs: Array<Error | undefined> = []
  const serve: Dispatch = (call, receiver) => {
    const exchange = new Served(call, receiver)
    served.push(exchange)
    return exchange
  }
  const common = {
    ticker,
    heads: http1Heads,
    pastCircuits,
    defer: pump.defer,
    onDefect: (error: unknown) => defects.push(error)
  }
  const accepted = new AcceptedLink({
    ...common,
    channel: channels.right,
    node: "host-b",
    remote: alice,
    limits: options.acceptedLimits ?? options.limits ?? {},
    serve: options.serve ?? serve,
    onDown: (cause) => downs.push(cause)
  })
  const dialed = new DialedLink({
    ...common,
    channel: channels.left,
    node: "host-a",
    remote: bob,
    limits: options.limits ?? {}
  })
  return { pump, ticker, channels, served, defects, downs, accepted, dialed }
}
