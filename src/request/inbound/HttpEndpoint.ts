/**
 * The kept connections to one HTTP program. The one used last is used first, so that the others
 * grow old and are closed. At the limit of connections requests wait, as long as they would wait
 * for a connection to be made; at the limit of those that wait they are refused. So they do when
 * the node as a whole may open no further connection: one that another endpoint keeps idle is closed
 * for them, or they have the next that is given back.
 */

import { type Caller, formatCaller } from "../../model/Caller.ts"
import { type OnDefect, uncontained } from "../../model/Defect.ts"
import type { Call, Fields, ResponseReceiver } from "../../model/Exchange.ts"
import type { Fault } from "../../model/Fault.ts"
import type { ServiceName } from "../../model/Names.ts"
import { refuse } from "../../model/RefusedExchange.ts"
import { hostPort } from "../../model/SocketFailure.ts"
import type { Ticker } from "../../model/Time.ts"
import type { Timer } from "../../model/TimerWheel.ts"
import { KnownBlocks } from "../http1/BlockMemory.ts"
import type { ProgramPlace } from "../socket/ProgramDial.ts"
import type { Keeper, SocketLane, Waiter } from "../socket/SocketBudget.ts"
import { ConnectionRoom } from "./ConnectionRoom.ts"
import { type ConnectionOwner, EndpointConnection } from "./EndpointConnection.ts"
import { type CallFacts, EndpointRequest, type RequestPool } from "./EndpointRequest.ts"
import type { EndpointStream, EndpointTransport } from "./EndpointStream.ts"
import type { ConnectionPlaces } from "./Places.ts"

export interface HttpEndpointOptions extends ProgramPlace {
  readonly service: ServiceName
  /** For a call that brings no limit of its own. */
  readonly connectTimeout: number
  /** How long a connection is kept with no request on it. */
  readonly idleTimeout: number
  /** Its connections, and requests that wait for one. Default: 1,024 of each, of this endpoint alone. */
  readonly places?: ConnectionPlaces | undefined
  /** Name of this node, for faults. */
  readonly node: string
  readonly ticker: Ticker
  /** What connections to programs are taken from. Default: without a limit. */
  readonly sockets?: SocketLane
  /** Hears of what throws: it costs the connection it threw on. Default: it is thrown on. */
  readonly onDefect?: OnDefect | undefined
  readonly onConnectFailure?: () => void
  readonly onStaleRetry?: () => void
  /** A trailer field of a response was dropped: no trailer may be named so. */
  readonly onDroppedTrailer?: () => void
}

/** Of one endpoint, on the whole host. */
export const defaultMaxConnections = 1_024
export const defaultMaxWaiting = 1_024

const noFacts: CallFacts = { until: undefined, attempt: 0 }

/** A request that waits for a connection to come free. */
interface Waiting {
  readonly request: EndpointRequest
  readonly until: number
  readonly timer: Timer
}

export class HttpEndpoint
  implements EndpointTransport, ConnectionOwner, RequestPool, Keeper, Waiter
{
  readonly #options: HttpEndpointOptions
  readonly #room: ConnectionRoom
  readonly #blocks = new KnownBlocks()
  readonly #all = new Set<EndpointConnection>()
  /** A stack; from bottom to top the times of becoming idle grow. */
  readonly #idle: Array<EndpointConnection> = []
  readonly #waiting = new Map<EndpointRequest, Waiting>()
  #sweep: Timer | undefined = undefined
  /** Who called last, and the field line that says so: most calls are of few callers. */
  #caller: Caller | undefined = undefined
  #callerLine = ""
  #retired = false

  constructor(options: HttpEndpointOptions) {
    this.#options = options
    this.#room = new ConnectionRoom(this, options, defaultMaxConnections, defaultMaxWaiting)
  }

  get connections(): number {
    return this.#all.size
  }

  get idleConnections(): number {
    return this.#idle.length
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
    const connection = this.#takeIdle()
    const waits = connection === undefined && !this.#room.take()
    if (waits && !this.#room.places.wait()) {
      const what = `has ${this.#inUse} and ${this.#room.places.waiting.most} requests waiting for one, which is the limit`
      return refuse(receiver, this.fault("overflow", what, false), this.#options.onDefect)
    }
    const { attempt, deadline } = call
    const until = deadline === undefined ? undefined : this.#options.ticker.now() + deadline
    const request = new EndpointRequest(
      fields === head.fields ? head : { ...head, fields },
      call.connectTimeout ?? this.#options.connectTimeout,
      until === undefined && attempt === 0 ? noFacts : { until, attempt },
      this.#lineOf(call.identity),
      receiver,
      this
    )
    if (connection !== undefined) connection.begin(request)
    else if (waits) this.#wait(request)
    else this.#connect(request, request.connectTimeout)
    return request
  }

  #lineOf(caller: Caller): string {
    if (caller !== this.#caller) {
      this.#caller = caller
      this.#callerLine = `skein-caller: ${formatCaller(caller)}\r\n`
    }
    return this.#callerLine
  }

  /** Requests that have begun or wait go on; each connection is closed as it becomes idle. */
  retire(): void {
    this.#retired = true
    this.#sweep?.cancel()
    this.#room.keepNoMore()
    for (const connection of this.#idle.splice(0)) connection.close()
  }

  onIdle(connection: EndpointConnection): void {
    const { places, sockets } = this.#room
    if (sockets.owes(this, this.#all.size)) {
      if (sockets.waitNoMore(this)) sockets.wait(this) // behind those it is given to
      connection.close()
      return
    }
    if (places.owes()) {
      this.#giveUp(connection)
      return
    }
    const next = this.#nextWaiting()
    if (next !== undefined) connection.begin(next.request)
    else if (this.#retired) connection.close()
    else {
      connection.idleSince = this.#options.ticker.now()
      this.#idle.push(connection)
      if (this.#idle.length === 1) this.#scheduleSweep(this.#options.idleTimeout)
    }
  }

  onGone(connection: EndpointConnection): void {
    const at = this.#idle.indexOf(connection)
    if (at !== -1) this.#idle.splice(at, 1)
    if (!this.#all.delete(connection)) return
    this.#room.give()
    this.onRoom()
  }

  /** A place has come free, here or elsewhere on the node: whoever waits longest has it. */
  onRoom(): void {
    if (this.#waiting.size === 0) return
    if (!this.#room.take()) {
      this.#room.wait()
      return
    }
    const next = this.#nextWaiting()
    if (next === undefined) return
    this.#connect(next.request, Math.max(1, next.until - this.#options.ticker.now()))
    if (this.#waiting.size === 0) return
    const { places, sockets } = this.#room
    if (places.taken < places.most) sockets.wait(this)
    else sockets.waitNoMore(this)
  }

  closeOneIdle(idleFor = 0): boolean {
    const [connection] = this.#idle
    if (connection === undefined) return false
    if (this.#options.ticker.now() - connection.idleSince < idleFor) return false
    this.#idle.shift()
    this.#giveUp(connection)
    return true
  }

  onConnectFailure(): void {
    this.#options.onConnectFailure?.()
  }

  /** May exceed the limits of connections by the one that is just being closed. */
  onStale(request: EndpointRequest): void {
    this.#options.onStaleRetry?.()
    this.#room.takeAnyway()
    this.#connect(request, request.connectTimeout)
  }

  forget(request: EndpointRequest): void {
    this.#waiting.get(request)?.timer.cancel()
    if (!this.#waiting.delete(request)) return
    this.#room.places.waitNoMore()
    if (this.#waiting.size === 0) this.#room.sockets.waitNoMore(this)
  }

  fault(code: Fault["code"], what: string, sent: boolean): Fault {
    const { service, host, port, node } = this.#options
    return {
      code,
      message: `the program of ${service} at ${hostPort(host, port)} ${what}`,
      node,
      service,
      sent
    }
  }

  defect(error: unknown): void {
    const { onDefect = uncontained } = this.#options
    onDefect(error, "the receiver of a request to a program")
  }

  get #inUse(): string {
    return `${this.#room.places.taken} connections in use${this.#room.lack}`
  }

  /** At once: others wait for its place. */
  #giveUp(connection: EndpointConnection): void {
    this.#all.delete(connection)
    connection.close()
    this.#room.give()
  }

  /** In a place that was taken. */
  #connect(request: EndpointRequest, timeout: number): void {
    const { onDefect = uncontained, onDroppedTrailer = () => undefined } = this.#options
    const options = { ...this.#options, blocks: this.#blocks, onDroppedTrailer, onDefect }
    this.#all.add(new EndpointConnection(options, request, timeout, this))
  }

  #wait(request: EndpointRequest): void {
    const { ticker } = this.#options
    const { connectTimeout } = request
    const timer = ticker.after(connectTimeout, () => {
      const what = `has ${this.#inUse} and none came free within ${connectTimeout} ms`
      request.fail("overflow", what)
    })
    this.#waiting.set(request, { request, until: ticker.now() + connectTimeout, timer })
    this.#room.wait()
  }

  #takeIdle(): EndpointConnection | undefined {
    const now = this.#options.ticker.now()
    for (;;) {
      const connection = this.#idle.pop()
      if (connection === undefined || connection.usable(now)) return connection
      connection.close()
    }
  }

  #nextWaiting(): Waiting | undefined {
    for (const waiting of this.#waiting.values()) {
      this.forget(waiting.request)
      return waiting
    }
    return undefined
  }

  /** One timer for the pool: it looks at the connection that has been idle longest. */
  #scheduleSweep(delay: number): void {
    this.#sweep?.cancel()
    this.#sweep = this.#options.ticker.after(delay, () => {
      this.#sweep = undefined
      const { idleTimeout, ticker } = this.#options
      const now = ticker.now()
      while (this.#idle.length > 0 && this.#idle[0]!.idleSince + idleTimeout <= now) {
        this.#idle.shift()!.close()
      }
      const oldest = this.#idle[0]
      if (oldest !== undefined) this.#scheduleSweep(oldest.idleSince + idleTimeout - now)
    })
  }
}
