/** A listening socket as a scoped resource: open when the effect succeeds, shut with its scope. */
import net from "node:net"
import { Effect, type Scope } from "effect"
import { type ListenError, makeListenError } from "./ListenError.ts"

export interface AcceptorOptions {
  readonly host: string
  /** 0: the system chooses. */
  readonly port: number
  /** At this many open connections further ones are closed as they come. */
  readonly maxConnections: number
  /** How many are open. */
  readonly connections: () => number
  /** The socket is paused: who takes it decides how it is read. */
  readonly onConnection: (socket: net.Socket) => void
  /** A connection was not taken: the limit, or the system (no descriptor left). */
  readonly onRefused: (reason: "max_connections" | "accept_failed", error?: Error) => void
}

export interface Acceptor {
  readonly address: { readonly host: string; readonly port: number }
  /** Takes no further connections; those that are open stay. */
  readonly stop: () => void
}

export const makeAcceptor = (
  options: AcceptorOptions
): Effect.Effect<Acceptor, ListenError, Scope.Scope> =>
  Effect.acquireRelease(open(options), (acceptor) => Effect.sync(acceptor.stop))

const open = (options: AcceptorOptions): Effect.Effect<Acceptor, ListenError> =>
  Effect.async<Acceptor, ListenError>((resume) => {
    const { host, port } = options
    const server = net.createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true })
    const onListenError = (error: Error) => resume(Effect.fail(makeListenError(host, port, error)))
    server.once("error", onListenError)
    server.listen({ host, port, backlog: 1_024 }, () => {
      server.off("error", onListenError)
      // Without a handler, running out of descriptors while accepting would end the process.
      server.on("error", (error) => options.onRefused("accept_failed", error))
      server.on("connection", (socket) => take(socket, options))
      resume(Effect.succeed({ address: boundAddress(server, host, port), stop }))
    })
    let stopped = false
    const stop = () => {
      if (stopped) return
      stopped = true
      server.close()
    }
    return Effect.sync(stop)
  })

const take = (socket: net.Socket, options: AcceptorOptions): void => {
  if (options.connections() < options.maxConnections) options.onConnection(socket)
  else {
    socket.destroy()
    options.onRefused("max_connections")
  }
}

const boundAddress = (server: net.Server, host: string, port: number): Acceptor["address"] => {
  const address = server.address()
  return address === null || typeof address === "string"
    ? { host, port }
    : { host: address.address, port: address.port }
}
