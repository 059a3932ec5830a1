/** For tests of the listeners: a callee by hand, and clients on raw sockets. */
import net from "node:net"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import {
  type Call,
  type Dispatch,
  type Fields,
  noFields,
  type RequestStream,
  type ResponseHead,
  type ResponseReceiver
} from "../model/Exchange.ts"
import type { Fault } from "../model/Fault.ts"
import type { Log } from "../model/Log.ts"
import { MetricRegistry } from "../request/cells/Metrics.ts"
import { HandTicker, self, Watched } from "./InboundFixture.ts"

/** One exchange as the callee sees it. */
export class HeldExchange extends Watched implements RequestStream {
  readonly call: Call
  readonly receiver: ResponseReceiver
  readonly chunks: Array<Uint8Array> = []
  trailers: Fields | undefined
  cancelled: Fault | undefined
  resumed = 0
  /** What `write` answers. */
  accept = true

  constructor(call: Call, receiver: ResponseReceiver) {
    super()
    this.call = call
    this.receiver = receiver
  }
  get text(): string {
    return Buffer.concat(this.chunks).toString()
  }
  write(chunk: Uint8Array): boolean {
    this.chunks.push(chunk)
    this.happened()
    return this.accept
  }
  end(trailers: Fields): void {
    this.trailers = trailers
    this.happened()
  }
  cancel(fault: Fault): void {
    this.cancelled = fault
    this.happened()
  }
  resume(): void {
    this.resumed++
    this.happened()
  }
  respond(status: number, body: string | undefined, change: Partial<ResponseHead> = {}): void {
    this.receiver.onHead(responseHead(status, body?.length, change))
    if (body !== undefined && body !== "") this.receiver.onData(Buffer.from(body))
    this.receiver.onEnd(noFields)
  }
}

export const responseHead = (
  status: number,
  length: number | undefined,
  change: Partial<ResponseHead> = {}
): ResponseHead => ({
  status,
  reason: "R",
  fields: noFields,
  framing: length === undefined ? { kind: "stream" } : { kind: "length", length },
  upgrade: undefined,
  ...change
})

/** A dispatch that keeps every exchange until the test answers it. */
export class HoldingCallee {
  readonly exchanges: Array<HeldExchange> = []
  readonly #waiters: Array<(exchange: HeldExchange) => void> = []
  #taken = 0
  readonly dispatch: Dispatch = (call, receiver) => {
    const held = new HeldExchange(call, receiver)
    this.exchanges.push(held)
    if (this.#waiters.length > 0) this.#taken++
    this.#waiters.shift()?.(held)
    return held
  }
  /** The next exchange that no test has taken yet. */
  next(): Promise<HeldExchange> {
    const held = this.exchanges[this.#taken]
    if (held === undefined) return new Promise((resolve) => this.#waiters.push(resolve))
    this.#taken++
    return Promise.resolve(held)
  }
}

/** What the listeners under test have in common; close with `dispose`. */
export const makeContext = () => {
  const ticker = new HandTicker()
  const metrics = new MetricRegistry()
  const opened: Array<{ readonly close: () => void }> = []
  const logged: Array<Parameters<Log>> = []
  const log: Log = (...line) => void logged.push(line)
  return {
    ticker,
    metrics,
    /** What was told, in order. */
    logged,
    base: { host: "127.0.0.1", port: 0, self, ticker, metrics, log },
    open: async <L extends { readonly close: () => void }>(opening: Promise<L>): Promise<L> => {
      const listener = await opening
      opened.push(listener)
      return listener
    },
    dispose: (): void => {
      for (const { close } of opened.splice(0).reverse()) close()
    }
  }
}

/** A client on a raw socket that keeps what it receives. */
export class RawClient extends Watched {
  readonly socket: net.Socket
  text = ""
  bytes = 0
  /** How often something came. */
  reads = 0
  ended = false
  error: Error | undefined
  readonly closed: Promise<void>

  constructor(port: number) {
    super()
    const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true })
    this.socket = socket
    socket.on("data", (chunk) => {
      this.bytes += chunk.length
      this.reads++
      if (this.text.length < 1_000_000) this.text += chunk.toString("latin1")
      this.happened()
    })
    socket.on("end", () => {
      this.ended = true
      this.happened()
    })
    socket.on("error", (error) => {
      this.error = error
    })
    this.closed = new Promise((resolve) => socket.on("close", () => resolve()))
    socket.on("close", () => this.happened())
  }
  send(text: string): this {
    this.socket.write(text, "latin1")
    return this
  }
  receives(pattern: RegExp): Promise<void> {
    return this.until(() => pattern.test(this.text))
  }
  /** The other side has closed its half. */
  end(): Promise<void> {
    return this.until(() => this.ended)
  }
}

/** Bytes of buffers that are really referenced by this process. */
export const heldBytes = (): number => {
  setFlagsFromString("--expose-gc")
  runInNewContext("gc")()
  return process.memoryUsage().arrayBuffers
}

export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
