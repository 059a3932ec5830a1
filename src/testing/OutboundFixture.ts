/** For tests of the outbound stack: a clock moved by hand, scripted endpoints. */
import { hostCaller } from "../model/Caller.ts"
import { type Call, type Dispatch, noBody, noFields, type RequestHead } from "../model/Exchange.ts"
import { type EndpointView, MeshViewSource, type ServiceView } from "../model/MeshView.ts"
import { NodeName, PeerKey, ServiceName } from "../model/Names.ts"
import type { Ticker } from "../model/Time.ts"
import { TimerWheel } from "../model/TimerWheel.ts"
import { MetricRegistry } from "../request/cells/Metrics.ts"
import { makeOutbound, type Outbound, type OutboundOptions } from "../request/outbound/Outbound.ts"
import type { StackLines } from "../request/outbound/Stack.ts"
import type { HostRuns } from "../request/policy/HostRuns.ts"
import { defaultPolicy, makePolicy, type PolicyInput } from "../schema/PolicySchema.ts"
import { RecordingObserver, RecordingReceiver, SentCall } from "./OutboundRecorders.ts"
import { seededRandom } from "./simulator/EventQueue.ts"

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
    options: {
      readonly protocol?: ServiceView["protocol"]
      readonly random?: () => number
      /** In place of one of its own. */
      readonly ticker?: ManualTicker
      readonly speaksFor?: OutboundOptions["speaksFor"]
      readonly whyMissing?: OutboundOptions["whyMissing"]
      readonly lines?: StackLines
      /** What other threads of the node would be told. */
      readonly onFact?: OutboundOptions["onFact"]
      /** Where they count results in a row. */
      readonly runs?: HostRuns
      /** What throws is put here. Without it, it is thrown again, so that it fails the test. */
      readonly defects?: Array<unknown>
    } = {}
  ) {
    this.ticker = options.ticker ?? new ManualTicker(options.random)
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
      defaultPolicy,
      ticker: this.ticker,
      metrics: this.metrics,
      observer: this.observer,
      local: remote(selfPeer),
      remote,
      ...(options.speaksFor === undefined ? {} : { speaksFor: options.speaksFor }),
      ...(options.whyMissing === undefined ? {} : { whyMissing: options.whyMissing }),
      ...(options.lines === undefined ? {} : { lines: options.lines }),
      ...(options.runs === undefined ? {} : { runs: options.runs }),
      ...(options.onFact === undefined ? {} : { onFact: options.onFact }),
      onDefect: (error) => {
        // Receivers of these tests throw at what the contract forbids.
        if (options.defects === undefined) throw error
        options.defects.push(error)
      }
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
      readonly attempt?: number
      readonly head?: Partial<RequestHead>
      readonly only?: string
      readonly pastCircuit?: boolean
    } = {}
  ) {
    return this.#dispatch("http", requestHead(method, options.head), options, options.body)
  }

  tunnel() {
    const opened = this.#dispatch("tcp", undefined, {}, true)
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
    {
      attempt = 0,
      deadline,
      only,
      pastCircuit
    }: {
      readonly attempt?: number
      readonly deadline?: number
      readonly only?: string
      readonly pastCircuit?: boolean
    },
    body = false
  ) {
    const receiver = new RecordingReceiver()
    const stream = this.outbound.dispatch(
      {
        kind,
        service: payments,
        head,
        endpoint: undefined,
        only,
        pastCircuit,
        caller: selfPeer,
        identity: hostCaller(NodeName.make("host-a")),
        deadline,
        attempt
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
