/**
 * The local HTTP/1.1 port: a proxy for `http://NAME.mesh/` (by Host, absolute-form or CONNECT), or
 * with `fixedService` the port of one service, under that service's names and this host's.
 */
import { Effect, type Scope } from "effect"
import { KnownBlocks } from "../http1/BlockMemory.ts"
import { defaultHttp1Limits, type Http1Limits } from "../http1/Limits.ts"
import type { Dispatch } from "../model/Exchange.ts"
import type { Fault } from "../model/Fault.ts"
import { type PeerKey, type ServiceName, serviceOfAuthority } from "../model/Names.ts"
import type { Ticker } from "../model/Time.ts"
import type { Timer } from "../model/TimerWheel.ts"
import { askInterval } from "../socket/UnreadSocket.ts"
import type { MetricRegistry } from "../telemetry/Metrics.ts"
import { type Acceptor, makeAcceptor } from "./Acceptor.ts"
import { ConnectionSet } from "./ConnectionSet.ts"
import { HttpConnection } from "./HttpConnection.ts"
import type { HttpConnectionContext } from "./HttpConnectionContext.ts"
import type { ListenError } from "./ListenError.ts"
import { ListenerMetrics } from "./ListenerMetrics.ts"
import { PortAuthority } from "./PortAuthority.ts"
import { Refusals } from "./Refusals.ts"
import { defaultMaxConnections } from "./TcpListener.ts"

export interface HttpListenerOptions {
  readonly host: string
  /** 0: the system chooses. */
  readonly port: number
  readonly dispatch: Dispatch
  readonly self: { readonly peer: PeerKey; readonly node: string }
  readonly ticker: Ticker
  readonly metrics: MetricRegistry
  /** Of heads. Default 32 KiB, 100 fields. */
  readonly limits?: Http1Limits | undefined
  /** At the limit further connections are closed as they come. Default 10,000. */
  readonly maxConnections?: number | undefined
  /** Milliseconds a connection may be open with no request on it. Default 60 s. */
  readonly idleTimeout?: number | undefined
  /** Milliseconds from the first byte of a request's head to its last. Default 10 s. */
  readonly headTimeout?: number | undefined
  /** The service an authority means. Default: `NAME.mesh`. */
  readonly resolve?: ((authority: string) => ServiceName | undefined) | undefined
  /** Every request is for this service, if its Host allows it; CONNECT only when it names it. */
  readonly fixedService?: ServiceName | undefined
  /**
   * Names, in small letters, under which other hosts reach the port of the fixed service, beside all
   * addresses. Default: none do, and only its own names and loopback are taken.
   */
  readonly remoteNames?: ReadonlyArray<string> | undefined
}

export interface HttpListener {
  /** Where it really listens. */
  readonly address: { readonly host: string; readonly port: number }
  readonly connections: number
  /** Accepts nothing more and gives the port free, at once; open connections go on. */
  readonly stop: () => void
  /**
   * Accepts nothing more, closes connections without a request, lets the others finish theirs
   * (each response says `Connection: close`); after `deadline` ms closes what is left.
   */
  readonly drain: (deadline: number) => Effect.Effect<void>
}

const defaultIdleTimeout = 60_000
const defaultHeadTimeout = 10_000
/** Timeouts of connections are this much late at most. */
const sweepInterval = askInterval

export const makeHttpListener = (
  options: HttpListenerOptions
): Effect.Effect<HttpListener, ListenError, Scope.Scope> =>
  Effect.gen(function* () {
    const { host, port } = options
    const maxConnections = options.maxConnections ?? defaultMaxConnections
    const listener = `${host}:${port}`
    const metrics = new ListenerMetrics(options.metrics, listener)
    const now = () => options.ticker.now()
    const refusals = yield* Refusals.make({ listener, maxConnections, metrics, now })
    const core = new HttpListenerCore(options, metrics, refusals)
    yield* Effect.addFinalizer(() => Effect.sync(() => core.close()))
    const acceptor: Acceptor = yield* makeAcceptor({
      host,
      port,
      maxConnections,
      connections: () => core.connections.size,
      onConnection: (socket) => core.accept(socket),
      onRefused: (reason, error) => refusals.connection(reason, error)
    })
    return {
      address: acceptor.address,
      get connections() {
        return core.connections.size
      },
      stop: acceptor.stop,
      drain: (deadline) =>
        Effect.suspend(() => {
          acceptor.stop()
          core.drain()
          return core.connections.finish(deadline)
        })
    }
  })

class HttpListenerCore implements HttpConnectionContext {
  readonly connections = new ConnectionSet<HttpConnection>()
  readonly metrics: ListenerMetrics
  readonly #refusals: Refusals
  readonly dispatch: Dispatch
  readonly self: { readonly peer: PeerKey; readonly node: string }
  readonly ticker: Ticker
  readonly limits: Http1Limits
  readonly blocks = new KnownBlocks()
  readonly idleTimeout: number
  readonly headTimeout: number
  readonly resolve: (authority: string) => ServiceName | undefined
  readonly fixedService: ServiceName | undefined
  readonly portAuthority: PortAuthority | undefined
  draining = false
  #sweep: Timer | undefined = undefined
  #dateSecond = -1
  #date = ""

  constructor(options: HttpListenerOptions, metrics: ListenerMetrics, refusals: Refusals) {
    this.metrics = metrics
    this.#refusals = refusals
    this.dispatch = options.dispatch
    this.self = options.self
    this.ticker = options.ticker
    this.limits = options.limits ?? defaultHttp1Limits
    this.idleTimeout = options.idleTimeout ?? defaultIdleTimeout
    this.headTimeout = options.headTimeout ?? defaultHeadTimeout
    this.resolve = options.resolve ?? serviceOfAuthority
    const { fixedService, remoteNames } = options
    const { resolve } = this
    this.fixedService = fixedService
    this.portAuthority =
      fixedService && new PortAuthority({ service: fixedService, resolve, remoteNames })
  }

  get date(): string {
    const wall = this.ticker.wall()
    const second = Math.floor(wall / 1_000)
    if (second !== this.#dateSecond) {
      this.#dateSecond = second
      this.#date = new Date(wall).toUTCString()
    }
    return this.#date
  }

  accept(socket: ConstructorParameters<typeof HttpConnection>[0]): void {
    this.metrics.accepted.inc()
    this.metrics.open.add(1)
    const connection = new HttpConnection(socket, this, () => {
      this.metrics.open.add(-1)
      this.connections.delete(connection)
    })
    this.connections.add(connection)
    if (this.#sweep === undefined) this.#scheduleSweep()
  }

  readonly onParseError = (rule: string): void => this.metrics.parseError(rule)

  readonly onTunnelReset = (fault: Fault, client: string): void =>
    this.#refusals.tunnel(fault.service, fault, client)
  readonly onDroppedTrailer = (field: string): void => this.metrics.droppedTrailer(field)

  drain(): void {
    this.draining = true
    for (const connection of this.connections.all()) connection.closeIfIdle()
  }

  close(): void {
    this.#sweep?.cancel()
    this.connections.destroyAll()
  }

  /** Runs only while there are connections, so that an idle node sleeps. */
  #scheduleSweep(): void {
    this.#sweep = this.ticker.after(sweepInterval, () => {
      this.#sweep = undefined
      const now = this.ticker.now()
      for (const connection of this.connections.all()) connection.sweep(now)
      if (this.connections.size > 0) this.#scheduleSweep()
    })
  }
}
