/**
 * The local HTTP/1.1 port: a proxy for `http://NAME.mesh/` (by Host, absolute-form or CONNECT), or
 * with `fixedService` the port of one service, under that service's names and this host's.
 */
import type net from "node:net"
import { type Caller, hostCaller } from "../../model/Caller.ts"
import { type OnDefect, uncontained } from "../../model/Defect.ts"
import type { Dispatch } from "../../model/Exchange.ts"
import type { Fault } from "../../model/Fault.ts"
import type { Log } from "../../model/Log.ts"
import { NodeName, type PeerKey, type ServiceName, serviceOfAuthority } from "../../model/Names.ts"
import type { Ticker } from "../../model/Time.ts"
import type { Timer } from "../../model/TimerWheel.ts"
import type { MetricRegistry } from "../cells/Metrics.ts"
import { KnownBlocks } from "../http1/BlockMemory.ts"
import { defaultHttp1Limits, type Http1Limits } from "../http1/Limits.ts"
import { type Keeper, type SocketLane, unlimitedSockets } from "../socket/SocketBudget.ts"
import type { UnixSpec } from "../socket/UnixPath.ts"
import { askInterval } from "../socket/UnreadSocket.ts"
import { type Acceptor, openAcceptor, type Refusal } from "./Acceptor.ts"
import { ConnectionSet } from "./ConnectionSet.ts"
import { DetectedConnections } from "./DetectedConnections.ts"
import type { Begun } from "./FirstBytes.ts"
import type { WebOrigins } from "./GrpcWeb.ts"
import { HttpConnection } from "./HttpConnection.ts"
import type { HttpConnectionContext } from "./HttpConnectionContext.ts"
import { ListenerMetrics } from "./ListenerMetrics.ts"
import { OverflowConnections } from "./OverflowConnections.ts"
import { PortAuthority } from "./PortAuthority.ts"
import { type OtherUser, Refusals } from "./Refusals.ts"
import { defaultMaxConnections } from "./TcpListener.ts"
import { assertOwners, UserGate } from "./UserGate.ts"

export interface HttpListenerOptions {
  /** An address; of a unix socket `unix:/path`, which is made as `unix` says. */
  readonly host: string
  readonly unix?: UnixSpec | undefined
  /** The only user whose processes may connect to the port; others are told `denied`. Default: all. */
  readonly uid?: number | undefined
  /** Hears of those others, at most once a minute. */
  readonly onOtherUser?: ((refused: OtherUser) => void) | undefined
  /** 0: the system chooses. */
  readonly port: number
  readonly dispatch: Dispatch
  readonly self: { readonly peer: PeerKey; readonly node: string }
  /** Who its clients speak for. Default: this host. */
  readonly identity?: Caller | undefined
  readonly ticker: Ticker
  readonly metrics: MetricRegistry
  /** Hears of what is refused. */
  readonly log: Log
  /** Hears of what throws: it costs the connection it threw on. Default: it is thrown on. */
  readonly onDefect?: OnDefect | undefined
  /** Others may listen there as well; see the acceptor's. Default: false. */
  readonly reusePort?: boolean | undefined
  /** Of heads. Default 32 KiB, 100 fields. */
  readonly limits?: Http1Limits | undefined
  /** At the limit further connections are told `overflow` and closed. Default 10,000. */
  readonly maxConnections?: number | undefined
  /** What connections of clients are taken from. Default: without a limit. */
  readonly sockets?: SocketLane | undefined
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
  /** Further names of the fixed service, in small letters. Default: none. */
  readonly names?: ReadonlyArray<string> | undefined
  /** Calls of gRPC-Web are translated, and pages of these origins may make them. Default: they are not. */
  readonly grpcWeb?: WebOrigins | undefined
  /** Clients of the fixed service's port may speak anything, which is told by how they begin. Default: HTTP. */
  readonly detect?: Detection | undefined
}

export interface Detection {
  /** Who says nothing for so long waits for its server to speak, ms. */
  readonly wait: number
  /** The mesh knows the service as one of bytes: what looks like HTTP is bytes as well. */
  readonly isBytes: () => boolean
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
   * Harmless when repeated, and after `close`.
   */
  readonly drain: (deadline: number) => Promise<void>
  /** Gives the port free and closes every connection, at once. Whoever waits for a drain is told. */
  readonly close: () => void
}

const defaultIdleTimeout = 60_000
const defaultHeadTimeout = 10_000
/** Timeouts of connections are this much late at most. */
const sweepInterval = askInterval
/**
 * While there is no room for further connections: how long one may be idle, and how long one that
 * is in use may stay before its next response is its last, ms. So all have a turn.
 */
const turnOfFull = 1_000
/** Connections looked at to find an idle one, of at most 10,000. */
const maxLooks = 256

/** Rejects with a `ListenError`. */
export const openHttpListener = async (options: HttpListenerOptions): Promise<HttpListener> => {
  const { host, log, port, reusePort, ticker, uid, unix } = options
  const maxConnections = options.maxConnections ?? defaultMaxConnections
  const listener = unix === undefined ? `${host}:${port}` : host
  const metrics = new ListenerMetrics(options.metrics, listener)
  const now = () => ticker.now()
  const sockets = options.sockets ?? unlimitedSockets()
  const { onOtherUser } = options
  const refusals = new Refusals({
    ...{ listener, maxConnections, sockets, metrics, now, log, onOtherUser }
  })
  const core = new HttpListenerCore(options, sockets, metrics, refusals)
  const detected = core.detected
  const accept = (socket: net.Socket): void => {
    if (detected === undefined) core.accept(socket)
    else detected.take(socket)
  }
  const gate = uid === undefined ? undefined : core.gateFor(uid, listener, accept)
  let acceptor: Acceptor
  try {
    if (gate !== undefined) await assertOwners(host, port)
    acceptor = await openAcceptor({
      host,
      unix,
      port,
      reusePort,
      maxConnections,
      connections: () => core.connections.size + (gate?.waiting ?? 0) + (detected?.size ?? 0),
      sockets,
      onDefect: core.onDefect,
      onConnection: (socket) => (gate === undefined ? accept(socket) : gate.take(socket)),
      // Who may speak anything cannot be told why in words of HTTP.
      onOverflow: (socket) => detected === undefined && core.overflow(socket),
      onRefused: (reason, error) => core.refused(reason, error)
    })
  } catch (error) {
    core.close()
    throw error
  }
  return {
    address: acceptor.address,
    get connections() {
      return core.connections.size + (detected?.size ?? 0)
    },
    stop: acceptor.stop,
    drain: async (deadline) => {
      acceptor.stop()
      core.drain()
      await Promise.all([
        core.connections.finish(deadline, ticker),
        detected?.finish(deadline) ?? Promise.resolve()
      ])
    },
    close: () => {
      acceptor.stop()
      core.close()
    }
  }
}

class HttpListenerCore implements HttpConnectionContext, Keeper {
  readonly connections = new ConnectionSet<HttpConnection>()
  readonly #sockets: SocketLane
  readonly #overflow: OverflowConnections
  /** Those of other users than the one the listener is for. */
  #strangers: OverflowConnections | undefined = undefined
  #gate: UserGate | undefined = undefined
  /** Closed for others, and what they took is given back. */
  readonly #yielded = new WeakSet<HttpConnection>()
  /** When a connection was last refused, and why. */
  #fullAt = Number.NEGATIVE_INFINITY
  #fullBy: Refusal = "max_connections"
  readonly metrics: ListenerMetrics
  readonly #refusals: Refusals
  readonly dispatch: Dispatch
  readonly self: { readonly peer: PeerKey; readonly node: string }
  readonly identity: Caller
  readonly ticker: Ticker
  readonly onDefect: OnDefect
  readonly limits: Http1Limits
  readonly blocks = new KnownBlocks()
  readonly idleTimeout: number
  readonly headTimeout: number
  readonly resolve: (authority: string) => ServiceName | undefined
  readonly fixedService: ServiceName | undefined
  readonly portAuthority: PortAuthority | undefined
  readonly grpcWeb: WebOrigins | undefined
  readonly detected: DetectedConnections | undefined
  draining = false
  #sweep: Timer | undefined = undefined
  #dateSecond = -1
  #date = ""

  constructor(
    options: HttpListenerOptions,
    sockets: SocketLane,
    metrics: ListenerMetrics,
    refusals: Refusals
  ) {
    this.metrics = metrics
    this.#sockets = sockets
    this.#refusals = refusals
    this.dispatch = options.dispatch
    this.self = options.self
    this.identity = options.identity ?? hostCaller(NodeName.make(options.self.node))
    this.ticker = options.ticker
    this.onDefect = options.onDefect ?? uncontained
    this.limits = options.limits ?? defaultHttp1Limits
    this.idleTimeout = options.idleTimeout ?? defaultIdleTimeout
    this.headTimeout = options.headTimeout ?? defaultHeadTimeout
    this.resolve = options.resolve ?? serviceOfAuthority
    const { fixedService, names, remoteNames } = options
    const { resolve } = this
    this.grpcWeb = options.grpcWeb
    this.fixedService = fixedService
    this.portAuthority =
      fixedService && new PortAuthority({ service: fixedService, resolve, remoteNames, names })
    this.#overflow = new OverflowConnections(this, sockets, () => refusals.noRoom(this.#fullBy))
    sockets.keep(this)
    const { detect, dispatch, self } = options
    this.detected =
      detect === undefined || fixedService === undefined
        ? undefined
        : new DetectedConnections({
            ...{ ...detect, dispatch, metrics, refusals, resolve, self, sockets },
            ...{ identity: this.identity, onDefect: this.onDefect, ticker: this.ticker },
            service: fixedService,
            onHttp: (begun) => this.accept(begun.socket, begun)
          })
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

  accept(socket: net.Socket, begun?: Begun): void {
    this.metrics.accepted.inc()
    const connection = new HttpConnection(socket, this, this.#onClosed, begun !== undefined)
    this.metrics.open.add(1)
    this.connections.add(connection)
    if (begun !== undefined) connection.begin(begun)
    if (this.#sweep === undefined) this.#scheduleSweep()
  }

  readonly #onClosed = (connection: HttpConnection): void => {
    this.metrics.open.add(-1)
    if (!this.#yielded.has(connection)) this.#sockets.give()
    this.connections.delete(connection)
  }

  /** What connections pass before they are accepted. */
  gateFor(uid: number, listener: string, accept: (socket: net.Socket) => void): UserGate {
    const why = `${listener} is for processes of user ${uid} alone, and this connection is of another`
    const strangers = new OverflowConnections(this, this.#sockets, () => why, "denied")
    this.#strangers = strangers
    this.#gate = new UserGate({
      uid,
      ticker: this.ticker,
      onAdmitted: accept,
      onStranger: (socket, found) => {
        this.#sockets.give()
        this.#refusals.stranger(found)
        if (!strangers.take(socket)) socket.destroy()
        else if (this.#sweep === undefined) this.#scheduleSweep()
      },
      onGone: (error) => {
        this.#sockets.give()
        if (error !== undefined) this.#refusals.connection("other_user", error)
      }
    })
    return this.#gate
  }

  overflow(socket: net.Socket): boolean {
    const isTaken = this.#overflow.take(socket)
    if (isTaken && this.#sweep === undefined) this.#scheduleSweep()
    return isTaken
  }

  refused(reason: Refusal, error: Error | undefined): void {
    this.#fullAt = this.ticker.now()
    this.#fullBy = reason
    this.#refusals.connection(reason, error)
  }

  isTurnOver(openedAt: number): boolean {
    if (this.#fullAt === Number.NEGATIVE_INFINITY) return false
    const turnBegan = this.ticker.now() - turnOfFull
    return this.#fullAt > turnBegan && openedAt <= turnBegan
  }

  closeOneIdle(): boolean {
    const since = this.ticker.now() - turnOfFull
    for (const connection of this.connections.first(maxLooks)) {
      if (!connection.yieldIfIdle(since)) continue
      this.#yielded.add(connection)
      this.#sockets.give()
      return true
    }
    return false
  }

  readonly onParseError = (rule: string): void => this.metrics.parseError(rule)

  readonly onTunnelReset = (fault: Fault, client: string): void =>
    this.#refusals.tunnel(fault.service, fault, client)
  readonly onDroppedTrailer = (field: string): void => this.metrics.droppedTrailer(field)

  drain(): void {
    this.draining = true
    this.connections.each((connection) => connection.closeIfIdle())
  }

  close(): void {
    this.#sweep?.cancel()
    this.#sockets.keepNoMore(this)
    this.#gate?.close()
    this.detected?.close()
    this.connections.destroyAll()
    this.#overflow.close()
    this.#strangers?.close()
  }

  /** Runs only while there are connections, so that an idle node sleeps. */
  #scheduleSweep(): void {
    this.#sweep = this.ticker.after(sweepInterval, () => {
      this.#sweep = undefined
      try {
        const now = this.ticker.now()
        this.connections.each((connection) => connection.sweep(now))
        this.#overflow.sweep(now)
        this.#strangers?.sweep(now)
      } finally {
        const { size = 0 } = this.#strangers ?? {}
        if (this.connections.size + this.#overflow.size + size > 0) this.#scheduleSweep()
      }
    })
  }
}
