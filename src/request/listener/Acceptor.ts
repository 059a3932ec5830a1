/** A listening socket: open when the promise is kept, until it is stopped. */
import net from "node:net"
import type { OnDefect } from "../../model/Defect.ts"
import type { SocketLane } from "../socket/SocketBudget.ts"
import { clearPath, ownPath, type UnixSpec } from "../socket/UnixPath.ts"
import { makeListenError } from "./ListenError.ts"

/**
 * Why a connection was not taken: as many as this listener may have are open, or as many as this
 * node's limit of open files allows; or the system could not accept it; or it is of another user's
 * process than the one the listener is for.
 */
export type Refusal = "max_connections" | "descriptors" | "accept_failed" | "other_user"

export interface AcceptorOptions {
  /** An address; of a unix socket `unix:/path`, which is made as `unix` says. */
  readonly host: string
  readonly unix?: UnixSpec | undefined
  /** 0: the system chooses. */
  readonly port: number
  /**
   * Others of this user may listen there as well, if they say so too, and the system spreads the
   * connections over all. Default: false.
   */
  readonly reusePort?: boolean | undefined
  /** At this many open connections there is no room for further ones. */
  readonly maxConnections: number
  /** How many are open. */
  readonly connections: () => number
  /** What each connection takes one of; whoever it is given to gives it back. */
  readonly sockets: SocketLane
  /** Hears of what throws when a connection is taken: it costs that connection. */
  readonly onDefect: OnDefect
  /** The socket is paused: who takes it decides how it is read. Throws: it was not taken. */
  readonly onConnection: (socket: net.Socket) => void
  /** There is no room. False: it is closed at once. */
  readonly onOverflow?: (socket: net.Socket) => boolean
  /** A connection was not taken. */
  readonly onRefused: (reason: Refusal, error?: Error) => void
}

export interface Acceptor {
  readonly address: { readonly host: string; readonly port: number }
  /** Takes no further connections; those that are open stay. */
  readonly stop: () => void
}

/** Rejects with a `ListenError`. */
export const openAcceptor = (options: AcceptorOptions): Promise<Acceptor> =>
  options.unix === undefined ? listen(options) : listenAtPath(options, options.unix)

const listenAtPath = async (options: AcceptorOptions, unix: UnixSpec): Promise<Acceptor> => {
  const { host, port } = options
  const failed = (error: unknown) => makeListenError(host, port, asError(error))
  await clearPath(unix.path).catch((error: unknown) => Promise.reject(failed(error)))
  const acceptor = await listen(options)
  try {
    await ownPath(unix)
    return acceptor
  } catch (error) {
    acceptor.stop()
    throw failed(error)
  }
}

const asError = (error: unknown): Error =>
  error instanceof Error ? error : new Error(String(error))

const listen = (options: AcceptorOptions): Promise<Acceptor> =>
  new Promise((resolve, reject) => {
    const { host, port, reusePort = false, unix } = options
    const where = unix === undefined ? { host, port, reusePort } : { path: unix.path }
    const server = net.createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true })
    const onListenError = (error: Error) => reject(makeListenError(host, port, error))
    server.once("error", onListenError)
    server.listen({ ...where, backlog: 1_024 }, () => {
      server.off("error", onListenError)
      // Without a handler, running out of descriptors while accepting would end the process.
      server.on("error", (error) => options.onRefused("accept_failed", error))
      server.on("connection", (socket) => take(socket, options))
      resolve({ address: boundAddress(server, host, port), stop })
    })
    let stopped = false
    const stop = () => {
      if (stopped) return
      stopped = true
      server.close()
    }
  })

const take = (socket: net.Socket, options: AcceptorOptions): void => {
  const { connections, maxConnections, onConnection, onOverflow, onRefused, sockets } = options
  const isFull = connections() >= maxConnections
  let taken = false
  try {
    if (!isFull && sockets.take()) {
      taken = true
      onConnection(socket)
    } else {
      onRefused(isFull ? "max_connections" : "descriptors")
      if (onOverflow?.(socket) !== true) socket.destroy()
    }
  } catch (error) {
    socket.destroy()
    if (taken) sockets.give()
    options.onDefect(error, "a listener")
  }
}

const boundAddress = (server: net.Server, host: string, port: number): Acceptor["address"] => {
  const address = server.address()
  return address === null || typeof address === "string"
    ? { host, port }
    : { host: address.address, port: address.port }
}
