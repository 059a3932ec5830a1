/**
 * The connections to one program that speaks HTTP/2. A request goes onto the first that has room, so
 * that few are needed and many requests share each write; a further one is made when all are full. At
 * the limit of connections requests wait, as long as they would wait for a connection to be made; at
 * the limit of those that wait they are refused.
 */
import { type Caller, formatCaller } from "../../model/Caller.ts"
import { uncontained } from "../../model/Defect.ts"
import type { Call, Fields, ResponseReceiver } from "../../model/Exchange.ts"
import type { Fault } from "../../model/Fault.ts"
import { refuse } from "../../model/RefusedExchange.ts"
import { hostPort } from "../../model/SocketFailure.ts"
import type { Timer } from "../../model/TimerWheel.ts"
import type { Keeper, Waiter } from "../socket/SocketBudget.ts"
import { ConnectionRoom } from "./ConnectionRoom.ts"
import type { EndpointStream, EndpointTransport } from "./EndpointStream.ts"
import { type Http2ConnectionOwner, Http2EndpointConnection } from "./Http2EndpointConnection.ts"
import { Http2EndpointRequest, type Http2RequestPool, takesNone } from "./Http2EndpointRequest.ts"
import { defaultMaxWaiting, type HttpEndpointOptions } from "./HttpEndpoint.ts"

export interface Http2EndpointOptions extends Omit<HttpEndpointOptions, "onStaleRetry"> {
  /** The program speaks gRPC. */
  readonly grpc: boolean
}

/** Of one endpoint, on the whole host. Each carries a hundred requests at a time, as a rule. */
export const defaultMaxHttp2Connections = 128

/** While others still wait; before that only when the last has gone, ms. A stream may last for hours. */
const retireEvery = 50

const noFacts = { until: undefined, attempt: 0 } as const

export class Http2Endpoint
  implements EndpointTransport, Http2ConnectionOwner, Http2RequestPool, Keeper, Waiter
{
  readonly #options: Http2EndpointOptions
  readonly #room: ConnectionRoom
  /** Of its connections, those that are closed as their streams end. */
  #leaving = 0
  /** When the last of those began to. */
  #retiredAt = 0
  readonly #all = new Set<Http2EndpointConnection>()
  readonly #waiting = new Map<Http2EndpointRequest, Timer>()
  #sweep: Timer | undefined = undefined
  /** Who called last, in words: most calls are of few callers. */
  #caller: Caller | undefined = undefined
  #callerText = ""
  #retired = false

  constructor(options: Http2EndpointOptions) {
    this.#options = options
    this.#room = new ConnectionRoom(this, options, defaultMaxHttp2Connections, defaultMaxWaiting)
  }

  get connections(): number {
    return this.#all.size
  }

  get waiting(): number {
    return this.#waiting.size
  }

  open(call: Call, fields: Fields, receiver: ResponseReceiver): EndpointStream {
    const { head } = call
    if (head === undefined || head.method === "CONNECT") {
      const what = "was sent a call that is no HTTP request"
      return refuse(receiver, this.fault("bad_request", what, false), this.#options.onDefect)
    }
    const { attempt, deadline } = call
    const until = deadline === undefined ? undefined : this.#options.ticker.now() + deadline
    const request = new Http2EndpointRequest(
      fields === head.fields ? head : { ...head, fields },
      call.connectTimeout ?? this.#options.connectTimeout,
      until === undefined && attempt === 0 ? noFacts : { until, attempt },
      this.#textOf(call.identity),
      this.#options.grpc,
      receiver,
      this
    )
    const connection = this.#connectionFor(request)
    if (connection !== undefined) {
      connection.begin(request)
      return request
    }
    if (!this.#room.places.wait()) {
      return refuse(receiver, this.fault("overflow", this.#full, false), this.#options.onDefect)
    }
    this.#wait(request)
    return request
  }

  /** Requests that have begun or wait go on; each connection is closed as it becomes idle. */
  retire(): void {
    this.#retired = true
    this.#sweep?.cancel()
    this.#room.keepNoMore()
    for (const connection of [...this.#all]) {
      if (connection.idleSince !== undefined) connection.close()
    }
  }

  onRoom(): void {
    this.#giveBack()
    while (this.#waiting.size > 0) {
      const [first] = this.#waiting.keys()
      if (first === undefined) return
      const connection = this.#connectionFor(first)
      if (connection === undefined) {
        this.#room.wait()
        return
      }
      this.#waitNoMore(first)
      connection.begin(first)
    }
    this.#scheduleSweep()
  }

  onGone(connection: Http2EndpointConnection): void {
    if (this.#drop(connection)) this.onRoom()
  }

  onConnectFailure(): void {
    this.#options.onConnectFailure?.()
  }

  again(request: Http2EndpointRequest): void {
    const connection = this.#connectionFor(request)
    if (connection !== undefined) connection.begin(request)
    else if (this.#room.places.wait()) this.#wait(request)
    else request.fail("overflow", this.#full)
  }

  closeOneIdle(idleFor = 0): boolean {
    const before = this.#options.ticker.now() - idleFor
    for (const connection of this.#all) {
      if (connection.idleSince === undefined || connection.idleSince > before) continue
      connection.close()
      this.#drop(connection)
      return true
    }
    return false
  }

  forget(request: Http2EndpointRequest): void {
    // Nobody else may look at what is idle: it becomes so while requests wait where none is taken.
    if (this.#waitNoMore(request)) this.#scheduleSweep()
  }

  fault(code: Fault["code"], what: string, sent: boolean): Fault {
    const { host, node, port, service } = this.#options
    const message = `the program of ${service} at ${hostPort(host, port)} ${what}`
    return { code, message, node, service, sent }
  }

  defect(error: unknown): void {
    const { onDefect = uncontained } = this.#options
    onDefect(error, "the receiver of a request to a program")
  }

  #textOf(caller: Caller): string {
    if (caller !== this.#caller) {
      this.#caller = caller
      this.#callerText = formatCaller(caller)
    }
    return this.#callerText
  }

  /**
   * Takes what a further connection needs. Where the program has said on a new connection that it takes
   * no stream, no further one is made: it may say otherwise on that one, until it is closed for being idle.
   */
  #takeRoom(): boolean {
    for (const connection of this.#all) {
      if (!connection.takesNone) continue
      this.#room.wantNone()
      return false
    }
    return this.#room.take()
  }

  /** False: it was already. */
  #drop(connection: Http2EndpointConnection): boolean {
    if (!this.#all.delete(connection)) return false
    if (connection.isRetired) this.#leaving--
    this.#room.give()
    return true
  }

  /**
   * What other threads wait for: first what is idle, and of what is busy one at a time. How many requests wait there
   * says little: one connection may be enough for all of them.
   */
  #giveBack(): void {
    while (this.#room.places.owes(this.#leaving) && this.closeOneIdle());
    if (!this.#room.places.owes(this.#leaving)) return
    const now = this.#options.ticker.now()
    if (this.#leaving > 0 && now - this.#retiredAt < retireEvery) return
    this.#retiredAt = now
    this.#retireOne()
  }

  /** The last, since the first are filled first; if all are not already. */
  #retireOne(): void {
    let last: Http2EndpointConnection | undefined
    for (const connection of this.#all) if (!connection.isRetired) last = connection
    if (last === undefined) return
    this.#leaving++
    last.retire()
  }

  get #full(): string {
    return `${this.#inUse} and ${this.#room.places.waiting.most} requests waiting for one, which is the limit`
  }

  get #inUse(): string {
    for (const connection of this.#all) if (connection.takesNone) return takesNone
    return `has ${this.#room.places.taken} connections full of requests${this.#room.lack}`
  }

  /** One with room, or a new one; undefined: there is neither. */
  #connectionFor({ connectTimeout }: Http2EndpointRequest): Http2EndpointConnection | undefined {
    for (const connection of this.#all) if (connection.room > 0) return connection
    if (!this.#takeRoom()) return undefined
    const { host, onDefect = uncontained, onDroppedTrailer, port, ticker, tls } = this.#options
    const connection = new Http2EndpointConnection(
      {
        ...{ host, port, ticker, tls, onDefect },
        onDroppedTrailer: onDroppedTrailer ?? (() => undefined)
      },
      connectTimeout,
      this
    )
    this.#all.add(connection)
    return connection
  }

  #wait(request: Http2EndpointRequest): void {
    const { connectTimeout } = request
    const timer = this.#options.ticker.after(connectTimeout, () => {
      const what = `${this.#inUse} and none had room within ${connectTimeout} ms`
      request.fail("overflow", what)
    })
    this.#waiting.set(request, timer)
    this.#room.wait()
  }

  /** True: none waits any more. */
  #waitNoMore(request: Http2EndpointRequest): boolean {
    this.#waiting.get(request)?.cancel()
    if (!this.#waiting.delete(request)) return false
    this.#room.places.waitNoMore()
    if (this.#waiting.size > 0) return false
    this.#room.sockets.waitNoMore(this)
    return true
  }

  /** One timer for the pool: it looks at all connections, which are few. */
  #scheduleSweep(): void {
    if (this.#retired) {
      for (const connection of [...this.#all]) {
        if (connection.idleSince !== undefined) connection.close()
      }
      return
    }
    if (this.#sweep !== undefined || this.#all.size === 0) return
    const { idleTimeout, ticker } = this.#options
    this.#sweep = ticker.after(idleTimeout, () => {
      this.#sweep = undefined
      const now = ticker.now()
      for (const connection of [...this.#all]) {
        const { idleSince } = connection
        if (idleSince !== undefined && now - idleSince >= idleTimeout) connection.close()
      }
      this.#scheduleSweep()
    })
  }
}
