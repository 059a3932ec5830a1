/**
 * Nanoseconds that one request spends in the outbound stack under one policy, among three
 * endpoints whose dispatch answers at once. A process per measurement: what the compiler learnt
 * from one policy cannot speed up or slow down another. Argument: the variant's name and how long
 * to measure, in seconds.
 */
import { hostCaller } from "../../src/model/Caller.ts"
import {
  type Call,
  type Dispatch,
  noBody,
  noFields,
  type RequestHead,
  type RequestStream,
  type ResponseHead,
  type ResponseReceiver
} from "../../src/model/Exchange.ts"
import { MeshViewSource } from "../../src/model/MeshView.ts"
import { NodeName } from "../../src/model/Names.ts"
import type { ExchangeObservation, Observer } from "../../src/model/Observer.ts"
import type { Ticker } from "../../src/model/Time.ts"
import { TimerWheel } from "../../src/model/TimerWheel.ts"
import { MetricRegistry } from "../../src/request/cells/Metrics.ts"
import { makeOutbound } from "../../src/request/outbound/Outbound.ts"
import { defaultPolicy, makePolicy } from "../../src/schema/PolicySchema.ts"
import {
  endpointView,
  payments,
  requestHead,
  selfPeer,
  serviceView
} from "../../src/testing/OutboundFixture.ts"
import { isVariant, variants } from "./PolicyVariants.ts"

const [name = "", seconds = "1"] = process.argv.slice(2)
if (!isVariant(name)) throw new Error(`${name} is not one of ${Object.keys(variants).join(", ")}`)

const wheel = new TimerWheel(performance.now())
const ticker: Ticker = {
  now: () => performance.now(),
  wall: () => Date.now(),
  random: Math.random,
  after: (delay, callback) => wheel.schedule(performance.now(), delay, callback)
}

/** Telemetry is no policy: it is always there, and is left out here. */
const observation: ExchangeObservation = {
  forwardFields: noFields,
  responded: () => undefined,
  endpoint: () => undefined,
  event: () => undefined,
  end: () => undefined
}
const observer: Observer = { begin: () => observation }

const answer: ResponseHead = {
  status: 200,
  reason: "OK",
  fields: noFields,
  framing: noBody,
  upgrade: undefined
}

/** Answers when the request has ended, which the contract allows from within `end`. */
class Echo implements RequestStream {
  readonly #receiver: ResponseReceiver

  constructor(receiver: ResponseReceiver) {
    this.#receiver = receiver
  }

  write(): boolean {
    return true
  }

  end(): void {
    this.#receiver.onHead(answer)
    this.#receiver.onEnd(noFields)
  }

  cancel(): void {}
  resume(): void {}
}

const endpoint: Dispatch = (_, receiver) => new Echo(receiver)

let answers = 0
const receiver: ResponseReceiver = {
  onInfo: () => undefined,
  onHead: () => undefined,
  onData: () => true,
  onEnd: () => {
    answers++
  },
  onFault: (fault) => {
    throw new Error(`${name}: ${fault.code}: ${fault.message}`)
  },
  onWritable: () => undefined
}

const view = new MeshViewSource()
view.set(new Map([[payments, serviceView(["A", "B", "C"].map((one) => endpointView(one)))]]))
const outbound = makeOutbound({
  self: { peer: selfPeer, node: "here" },
  view,
  policies: new Map([[payments, makePolicy(variants[name])]]),
  defaultPolicy,
  ticker,
  metrics: new MetricRegistry(),
  observer,
  local: endpoint,
  remote: () => endpoint,
  onDefect: (error) => {
    throw error
  }
})
const head: RequestHead = requestHead("GET")
const call: Call = {
  kind: "http",
  service: payments,
  head,
  endpoint: undefined,
  caller: selfPeer,
  identity: hostCaller(NodeName.make("host-a")),
  deadline: undefined,
  attempt: 0
}

/** As many as fit between two turns of a busy node's event loop. */
const batch = 64

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

/** Nanoseconds each of `body`, over so much time; the wheel and microtasks get their turns. */
const measure = async (duration: number, body: () => void): Promise<number> => {
  let spent = 0
  let count = 0
  while (spent < duration * 1_000) {
    const began = performance.now()
    for (let round = 0; round < 16; round++) {
      for (let i = 0; i < batch; i++) body()
      wheel.advance(performance.now())
    }
    spent += performance.now() - began
    count += 16 * batch
    await turn()
  }
  return (spent * 1e6) / count
}

const request = (): void => outbound.dispatch(call, receiver).end(noFields)

/** Work of the machine's, not of ours, to divide by: some machines and moments are slower. */
const sample = { name: "payments", endpoints: ["A", "B", "C"], weight: 100 }
let kept = 0
const yardstick = (): void => {
  kept += Object.keys(JSON.parse(JSON.stringify(sample))).length
}

const time = Number(seconds)
await measure(time / 2, request)
await measure(time / 2, yardstick)
const before = answers
const nanoseconds = await measure(time, request)
const machine = await measure(time / 2, yardstick)
if (answers === before || kept === 0) throw new Error("nothing was measured")
process.stdout.write(`${JSON.stringify({ nanoseconds, machine })}\n`)
