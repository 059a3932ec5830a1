/** The tunnels of one listener. */
import type net from "node:net"
import { type Caller, hostCaller } from "../../model/Caller.ts"
import type { OnDefect } from "../../model/Defect.ts"
import type { Call, Dispatch } from "../../model/Exchange.ts"
import { NodeName, type PeerKey, type ServiceName } from "../../model/Names.ts"
import type { Ticker } from "../../model/Time.ts"
import type { SocketLane } from "../socket/SocketBudget.ts"
import { ConnectionSet } from "./ConnectionSet.ts"
import type { Begun } from "./FirstBytes.ts"
import type { ListenerMetrics } from "./ListenerMetrics.ts"
import type { Refusals } from "./Refusals.ts"
import { TcpConnection } from "./TcpConnection.ts"

export interface TcpTunnelsOptions {
  readonly dispatch: Dispatch
  readonly self: { readonly peer: PeerKey; readonly node: string }
  /** Who its clients speak for. Default: this host. */
  readonly identity?: Caller | undefined
  readonly ticker: Ticker
  readonly onDefect: OnDefect
  /** What each connection has one of. */
  readonly sockets: SocketLane
  readonly metrics: ListenerMetrics
  readonly refusals: Refusals
}

export class TcpTunnels {
  readonly #options: TcpTunnelsOptions
  readonly #identity: Caller
  readonly #connections = new ConnectionSet<TcpConnection>()

  constructor(options: TcpTunnelsOptions) {
    this.#options = options
    this.#identity = options.identity ?? hostCaller(NodeName.make(options.self.node))
  }

  get size(): number {
    return this.#connections.size
  }

  accept(socket: net.Socket, service: ServiceName, begun?: Begun): void {
    const { dispatch, metrics, onDefect, refusals, self, sockets, ticker } = this.#options
    const call: Call = {
      kind: "tcp",
      service,
      head: undefined,
      endpoint: undefined,
      caller: self.peer,
      identity: this.#identity,
      deadline: undefined,
      attempt: 0
    }
    metrics.accepted.inc()
    const connection = new TcpConnection(socket, {
      call,
      dispatch,
      ticker,
      onDefect,
      begun,
      node: self.node,
      onFault: (fault, client) => refusals.tunnel(service, fault, client),
      onClosed: (connection) => {
        metrics.open.add(-1)
        sockets.give()
        this.#connections.delete(connection)
      }
    })
    metrics.open.add(1)
    this.#connections.add(connection)
  }

  /** Waits for them; after `deadline` ms resets the others. */
  finish(deadline: number): Promise<void> {
    return this.#connections.finish(deadline, this.#options.ticker)
  }

  destroyAll(): void {
    this.#connections.destroyAll()
  }
}
