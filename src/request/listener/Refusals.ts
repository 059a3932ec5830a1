/**
 * Connections and tunnels that a listener ended by itself: each is counted by its cause, and told in
 * the log. Whoever meets a limit meets it many times, so those are told at most once a minute, with
 * how many there were since.
 */
import type { Fault } from "../../model/Fault.ts"
import type { Log } from "../../model/Log.ts"
import type { ServiceName } from "../../model/Names.ts"
import type { SocketLane } from "../socket/SocketBudget.ts"
import type { Refusal } from "./Acceptor.ts"
import type { ListenerMetrics } from "./ListenerMetrics.ts"

const quietFor = 60_000

export interface RefusalsOptions {
  /** Its configured address. */
  readonly listener: string
  readonly maxConnections: number
  readonly sockets: SocketLane
  readonly metrics: ListenerMetrics
  /** Monotonic milliseconds. */
  readonly now: () => number
  readonly log: Log
}

export class Refusals {
  readonly #options: RefusalsOptions
  readonly #told = new Map<string, { at: number; since: number }>()

  constructor(options: RefusalsOptions) {
    this.#options = options
  }

  /** A connection was not taken. */
  connection(reason: Refusal, error?: Error): void {
    const { metrics, now, log } = this.#options
    metrics.refused(reason)
    const told = this.#told.get(reason)
    if (told !== undefined && now() - told.at < quietFor) {
      told.since++
      return
    }
    const more = told === undefined || told.since === 0 ? "" : `; ${told.since} more since the last`
    this.#told.set(reason, { at: now(), since: 0 })
    if (error === undefined) {
      log("warning", `${this.noRoom(reason)}; further ones are refused as they come${more}`)
    } else {
      const { listener } = this.#options
      log("error", `${listener} could not accept a connection: ${error.message}${more}`)
    }
  }

  /** Which limit was met, for the log and for the client. */
  noRoom(reason: Refusal): string {
    const { listener, maxConnections, sockets } = this.#options
    return reason === "max_connections"
      ? `${listener} has ${maxConnections} connections, its limit`
      : `this node has the ${sockets.most} connections of clients that its limit of open files allows; raise it (ulimit -n, LimitNOFILE)`
  }

  /** A tunnel was reset: bytes have no other way to say what happened. */
  tunnel(service: ServiceName | undefined, fault: Fault, client: string): void {
    const { metrics, log } = this.#options
    metrics.tunnelReset(fault.code)
    const { code, node, message } = fault
    const what = `tunnel to ${service ?? "a service"} reset: ${message}`
    log("warning", what, { code, node, service, client })
  }
}
