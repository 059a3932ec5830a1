/** Where programs of this host have their links to one request thread. */
import type { Log } from "../../model/Log.ts"
import type { MetricRegistry } from "../cells/Metrics.ts"
import type { SocketLane } from "../socket/SocketBudget.ts"
import type { UnixSpec } from "../socket/UnixPath.ts"
import { openAcceptor } from "./Acceptor.ts"
import { ConnectionSet } from "./ConnectionSet.ts"
import { ListenerMetrics } from "./ListenerMetrics.ts"
import { ProgramConnection, type ProgramConnectionContext } from "./ProgramConnection.ts"
import { Refusals } from "./Refusals.ts"

export interface ProgramListenerOptions
  extends Omit<ProgramConnectionContext, "onRefused" | "onClosed"> {
  readonly host: string
  /** 0: the system chooses. */
  readonly port: number
  readonly unix?: UnixSpec | undefined
  /** Others may listen there as well; see the acceptor's. */
  readonly reusePort: boolean
  /** At the limit further connections are closed as they come. */
  readonly maxConnections: number
  readonly sockets: SocketLane
  readonly metrics: MetricRegistry
  /** Hears of what is refused. */
  readonly log: Log
}

export interface ProgramListener {
  readonly address: { readonly host: string; readonly port: number }
  readonly stop: () => void
  /** Begins nothing more, and waits for what runs, at most `deadline` ms. */
  readonly drain: (deadline: number) => Promise<void>
  readonly close: () => void
}

/** Also of what the mesh thread refuses. */
export const programRefusals = (registry: MetricRegistry) =>
  registry.counter(
    "skein_program_refused_total",
    "Connections of programs that wanted to attach, or to link, and were refused, by the code they were told.",
    ["code"]
  )

/** Rejects with a `ListenError`. */
export const openProgramListener = async (
  options: ProgramListenerOptions
): Promise<ProgramListener> => {
  const { host, log, maxConnections, onDefect, port, reusePort, sockets, ticker, unix } = options
  const listener = unix === undefined ? `${host}:${port}` : host
  const metrics = new ListenerMetrics(options.metrics, listener)
  const now = () => ticker.now()
  const refused = programRefusals(options.metrics)
  const refusals = new Refusals({ listener, maxConnections, sockets, metrics, now, log })
  const connections = new ConnectionSet<ProgramConnection>()
  const acceptor = await openAcceptor({
    ...{ host, port, reusePort, unix, maxConnections, sockets, onDefect },
    connections: () => connections.size,
    onRefused: (reason, error) => refusals.connection(reason, error),
    onConnection: (socket) => {
      metrics.accepted.inc()
      const connection = new ProgramConnection(socket, {
        ...options,
        onRefused: ({ code }) => refused.cell({ code }).inc(),
        onClosed: (closed) => {
          metrics.open.add(-1)
          sockets.give()
          connections.delete(closed)
        }
      })
      metrics.open.add(1)
      connections.add(connection)
    }
  })
  return {
    address: acceptor.address,
    stop: acceptor.stop,
    drain: (deadline) => {
      acceptor.stop()
      connections.each((connection) => connection.drain("this node is draining"))
      return connections.finish(deadline, ticker)
    },
    close: () => {
      acceptor.stop()
      connections.destroyAll()
    }
  }
}
