/** For tests of this folder and of the listeners: a clock by hand, programs, callers that record. */

import { randomInt } from "node:crypto"
import net from "node:net"
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
  type ResponseReceiver
} from "../model/Exchange.ts"
import type { Fault } from "../model/Fault.ts"
import { NodeName, PeerKey, ServiceName } from "../model/Names.ts"
import type { ExchangeInfo, Observer, Outcome } from "../model/Observer.ts"
import type { Ticker } from "../model/Time.ts"
import { TimerWheel } from "../model/TimerWheel.ts"

export const self = {
  peer: PeerKey.make("12D3KooWTestTestTestTestTest"),
  node: NodeName.make("host-a")
}
export const payments = ServiceName.make("payments")

/** Time stands still until `advance`. */
export class HandTicker implements Ticker {
  #now = 1_000
  readonly #wheel = new TimerWheel(this.#now)
  now(): number {
    return this.#now
  }
  wall(): number {
    return 1_700_000_000_000 + this.#now
  }
  random(): number {
    return 0.5
  }
  after(delay: number, callback: () => void): ReturnType<Ticker["after"]> {
    return this.#wheel.schedule(this.#now, delay, callback)
  }
  advance(by: number): void {
    this.#now += by
    this.#wheel.advance(this.#now)
  }
  get timers(): number {
    return this.#wheel.size
  }
}

export interface Observed {
  readonly info: ExchangeInfo
  readonly ends: Array<{ outcome: Outcome; bytesIn: number; bytesOut: number }>
  endpoint: string | undefined
}

/** Keeps everything it is told; `extra` is added to what is forwarded. */
export class RecordingObserver implements Observer {
  readonly seen: Array<Observed> = []
  extra: Fields = noFields
  onDecided: (decision: string, rule: string) => void = () => undefined
  begin(info: ExchangeInfo): ReturnType<Observer["begin"]> {
    const observed: Observed = { info, ends: [], endpoint: undefined }
    this.seen.push(observed)
    return {
      forwardFields: this.extra.length === 0 ? info.fields : [...info.fields, ...this.extra],
      responded: () => undefined,
      decided: (decision, rule) => this.onDecided(decision, rule),
      endpoint: (key) => {
        observed.endpoint = key
      },
      event: () => undefined,
      end: (outcome, bytesIn, bytesOut) => observed.ends.push({ outcome, bytesIn, bytesOut })
    }
  }
}

export const requestHead = (change: Partial<RequestHead> = {}): RequestHead => ({
  method: "GET",
  target: "/",
  authority: "payments.mesh",
  fields: noFields,
  framing: noBody,
  upgrade: undefined,
  expectsContinue: false,
  ...change
})

export const httpCall = (head: Partial<RequestHead> = {}, change: Partial<Call> = {}): Call => ({
  kind: "http",
  service: payments,
  head: requestHead(head),
  endpoint: undefined,
  caller: self.peer,
  identity: hostCaller(NodeName.make(self.node)),
  deadline: undefined,
  attempt: 0,
  ...change
})

export const tcpCall = (change: Partial<Call> = {}): Call =>
  httpCall({}, { kind: "tcp", head: undefined, ...change })

/** Something that happens bit by bit, and that a test waits for. */
export class Watched {
  readonly #waiters = new Set<() => void>()
  /** Resolves when `condition` holds; looked at after everything that happens. */
  until(condition: () => boolean): Promise<void> {
    if (condition()) return Promise.resolve()
    return new Promise((resolve) => {
      const look = () => {
        if (!condition()) return
        this.#waiters.delete(look)
        resolve()
      }
      this.#waiters.add(look)
    })
  }
  protected happened(): void {
    for (const look of [...this.#waiters]) look()
  }
}

/** A caller that keeps what comes and checks the order in which it may come. */
export class RecordingReceiver extends Watched implements ResponseReceiver {
  readonly infos: Array<ResponseHead> = []
  head: ResponseHead | undefined
  readonly chunks: Array<Uint8Array> = []
  bytes = 0
  trailers: Fields | undefined
  fault: Fault | undefined
  writable = 0
  /** What `onData` answers. */
  accept = true
  readonly #done = Promise.withResolvers<void>()

  get over(): boolean {
    return this.trailers !== undefined || this.fault !== undefined
  }
  /** End or fault. */
  get done(): Promise<void> {
    return this.#done.promise
  }
  get text(): string {
    return Buffer.concat(this.chunks).toString()
  }
  onInfo(head: ResponseHead): void {
    this.#called()
    this.infos.push(head)
    this.happened()
  }
  onHead(head: ResponseHead): void {
    this.#called()
    if (this.head !== undefined) throw new Error("onHead twice")
    this.head = head
    this.happened()
  }
  onData(chunk: Uint8Array): boolean {
    this.#called()
    this.chunks.push(chunk)
    this.bytes += chunk.length
    this.happened()
    return this.accept
  }
  onEnd(trailers: Fields): void {
    this.#called()
    this.trailers = trailers
    this.#done.resolve()
    this.happened()
  }
  onFault(fault: Fault): void {
    this.#called()
    this.fault = fault
    this.#done.resolve()
    this.happened()
  }
  onWritable(): void {
    this.#called()
    this.writable++
    this.happened()
  }
  #called(): void {
    if (this.over) throw new Error("called after the end")
  }
}

/** Sends a whole request and waits for its end. */
export const exchange = async (
  dispatch: Dispatch,
  call: Call,
  body?: string | Uint8Array
): Promise<RecordingReceiver> => {
  const receiver = new RecordingReceiver()
  const stream: RequestStream = dispatch(call, receiver)
  if (receiver.over) throw new Error("the receiver was called before dispatch returned")
  if (body !== undefined) stream.write(typeof body === "string" ? Buffer.from(body) : body)
  stream.end(noFields)
  await receiver.done
  return receiver
}

/** Writes `total` bytes as fast as the socket takes them. */
export class Flood {
  written = 0
  constructor(socket: net.Socket, total: number) {
    const chunk = Buffer.alloc(256 * 1024)
    const pump = () => {
      while (this.written < total && !socket.destroyed) {
        this.written += chunk.length
        if (!socket.write(chunk)) return
      }
    }
    socket.on("drain", pump)
    pump()
  }
}

export interface Program {
  readonly port: number
  readonly sockets: ReadonlySet<net.Socket>
  /** Connections taken so far. */
  readonly accepted: () => number
  readonly close: () => Promise<void>
}

/** Listens on a free port of 127.0.0.1. Works for `net` and `http` servers. */
export const startProgram = async (server: net.Server): Promise<Program> => {
  const sockets = new Set<net.Socket>()
  let accepted = 0
  server.on("connection", (socket: net.Socket) => {
    accepted++
    sockets.add(socket)
    // A test that resets a connection on purpose looks at its effects, not at this event.
    socket.on("error", () => undefined)
    socket.on("close", () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("no port")
  return {
    port: address.port,
    sockets,
    accepted: () => accepted,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      })
  }
}

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = net.createServer()
    server.on("error", () => resolve(false))
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)))
  })

/**
 * A port on which nothing listens, below those that systems give to whoever asks for any port or
 * connects: tests that run at the same time do so all the time.
 */
export const freePort = async (): Promise<number> => {
  for (let tries = 0; tries < 1_000; tries++) {
    const port = randomInt(10_000, 30_000)
    if (await isFree(port)) return port
  }
  throw new Error("no free port on 127.0.0.1")
}

/** A program that answers each connection's bytes with what `answer` says, byte by byte its own. */
export const rawProgram = (onSocket: (socket: net.Socket) => void): net.Server =>
  net.createServer({ allowHalfOpen: true, noDelay: true }, onSocket)
