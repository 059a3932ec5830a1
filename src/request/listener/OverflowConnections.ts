/**
 * Connections that came when there was no room for them, or that are not let in. Each is answered,
 * once, that this is so: its first request gets the fault (503 and `overflow`, 403 and `denied`), and
 * it is closed. They hold sockets lent for that, for a second or two; when none is left to lend,
 * whoever comes is closed without a word.
 */
import type net from "node:net"
import { refuse } from "../../model/RefusedExchange.ts"
import type { SocketLane } from "../socket/SocketBudget.ts"
import { ConnectionSet } from "./ConnectionSet.ts"
import { HttpConnection } from "./HttpConnection.ts"
import type { HttpConnectionContext } from "./HttpConnectionContext.ts"

/** Who has not said by then what it wants is closed without an answer, ms. */
const patience = 1_000

export class OverflowConnections {
  readonly #context: HttpConnectionContext
  readonly #sockets: SocketLane
  readonly #connections = new ConnectionSet<HttpConnection>()

  /** `why`: which limit was met, or what is asked of clients. */
  constructor(
    context: HttpConnectionContext,
    sockets: SocketLane,
    why: () => string,
    code: "overflow" | "denied" = "overflow"
  ) {
    const { self } = context
    this.#sockets = sockets
    this.#context = {
      self,
      identity: context.identity,
      resolve: context.resolve,
      fixedService: context.fixedService,
      portAuthority: context.portAuthority,
      grpcWeb: context.grpcWeb,
      ticker: context.ticker,
      limits: context.limits,
      blocks: context.blocks,
      onDefect: context.onDefect,
      onParseError: context.onParseError,
      onTunnelReset: context.onTunnelReset,
      onDroppedTrailer: context.onDroppedTrailer,
      get date() {
        return context.date
      },
      idleTimeout: patience,
      headTimeout: patience,
      draining: true,
      isTurnOver: () => true,
      dispatch: ({ service }, receiver) =>
        refuse(
          receiver,
          { code, message: why(), node: self.node, service, sent: false },
          context.onDefect
        )
    }
  }

  get size(): number {
    return this.#connections.size
  }

  /** False: there is no room for that either. */
  take(socket: net.Socket): boolean {
    if (!this.#sockets.borrow()) return false
    this.#connections.add(new HttpConnection(socket, this.#context, this.#onClosed))
    return true
  }

  readonly #onClosed = (connection: HttpConnection): void => {
    this.#sockets.giveBack()
    this.#connections.delete(connection)
  }

  sweep(now: number): void {
    this.#connections.each((connection) => connection.sweep(now))
  }

  close(): void {
    this.#connections.destroyAll()
  }
}
