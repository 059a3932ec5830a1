/** A local port that always reaches one service, as bytes. */
import type net from "node:net"
import type { Caller } from "../../model/Caller.ts"
import { type OnDefect, uncontained } from "../../model/Defect.ts"
import type { Dispatch } from "../../model/Exchange.ts"
import type { Log } from "../../model/Log.ts"
import type { PeerKey, ServiceName } from "../../model/Names.ts"
import type { Ticker } from "../../model/Time.ts"
import type { MetricRegistry } from "../cells/Metrics.ts"
import { type SocketLane, unlimitedSockets } from "../socket/SocketBudget.ts"
import type { UnixSpec } from "../socket/UnixPath.ts"
import { openAcceptor } from "./Acceptor.ts"
import { ListenerMetrics } from "./ListenerMetrics.ts"
import { type OtherUser, Refusals } from "./Refusals.ts"
import { TcpTunnels } from "./TcpTunnels.ts"
import { assertOwners, UserGate } from "./UserGate.ts"

export interface TcpListenerOptions {
  /** An address; of a unix socket `unix:/path`, which is made as `unix` says. */
  readonly host: string
  readonly unix?: UnixSpec | undefined
  /** 0: the system chooses. */
  readonly port: number
  readonly service: ServiceName
  readonly dispatch: Dispatch
  readonly self: { readonly peer: PeerKey; readonly node: string }
  /** Who its clients speak for. Default: this host. */
  readonly identity?: Caller | undefined
  /** The only user whose processes may connect; others are reset. Default: all. */
  readonly uid?: number | undefined
  /** Hears of those others, at most once a minute. */
  readonly onOtherUser?: ((refused: OtherUser) => void) | undefined
  readonly ticker: Ticker
  readonly metrics: MetricRegistry
  /** Hears of what is refused or reset. */
  readonly log: Log
  /** Hears of what throws: it costs the connection it threw on. Default: it is thrown on. */
  readonly onDefect?: OnDefect | undefined
  /** Others may listen there as well; see the acceptor's. Default: false. */
  readonly reusePort?: boolean | undefined
  /** At the limit further connections are closed as they come. Default 10,000. */
  readonly maxConnections?: number | undefined
  /** What connections of clients are taken from. Default: without a limit. */
  readonly sockets?: SocketLane | undefined
}

export interface TcpListener {
  /** Where it really listens. */
  readonly address: { readonly host: string; readonly port: number }
  readonly connections: number
  /** Accepts nothing more and gives the port free, at once; open tunnels go on. */
  readonly stop: () => void
  /**
   * Accepts nothing more and waits for open tunnels; after `deadline` ms resets the others.
   * Harmless when repeated, and after `close`.
   */
  readonly drain: (deadline: number) => Promise<void>
  /** Gives the port free and resets every tunnel, at once. Whoever waits for a drain is told. */
  readonly close: () => void
}

export const defaultMaxConnections = 10_000

/** Rejects with a `ListenError`. */
export const openTcpListener = async (options: TcpListenerOptions): Promise<TcpListener> => {
  const { host, port, reusePort, service, dispatch, self, ticker, log, unix } = options
  const maxConnections = options.maxConnections ?? defaultMaxConnections
  const listener = unix === undefined ? `${host}:${port}` : host
  const metrics = new ListenerMetrics(options.metrics, listener)
  const now = () => ticker.now()
  const sockets = options.sockets ?? unlimitedSockets()
  const { onOtherUser } = options
  const refusals = new Refusals({
    ...{ listener, maxConnections, sockets, metrics, now, log, onOtherUser }
  })
  const onDefect = options.onDefect ?? uncontained
  const tunnels = new TcpTunnels({
    ...{ dispatch, identity: options.identity, metrics, onDefect, refusals, self, sockets, ticker }
  })
  const accept = (socket: net.Socket): void => tunnels.accept(socket, service)
  const gate =
    options.uid === undefined
      ? undefined
      : new UserGate({
          uid: options.uid,
          ticker,
          onAdmitted: accept,
          // Bytes have no way to say why; the log has it.
          onStranger: (socket, uid) => {
            sockets.give()
            refusals.stranger(uid)
            socket.resetAndDestroy()
          },
          onGone: (error) => {
            sockets.give()
            if (error !== undefined) refusals.connection("other_user", error)
          }
        })
  if (gate !== undefined) await assertOwners(host, port)
  const acceptor = await openAcceptor({
    host,
    unix,
    port,
    reusePort,
    maxConnections,
    sockets,
    onDefect,
    connections: () => tunnels.size + (gate?.waiting ?? 0),
    onRefused: (reason, error) => refusals.connection(reason, error),
    onConnection: (socket) => (gate === undefined ? accept(socket) : gate.take(socket))
  })
  return {
    address: acceptor.address,
    get connections() {
      return tunnels.size
    },
    stop: acceptor.stop,
    drain: (deadline) => {
      acceptor.stop()
      return tunnels.finish(deadline)
    },
    close: () => {
      acceptor.stop()
      gate?.close()
      tunnels.destroyAll()
    }
  }
}
