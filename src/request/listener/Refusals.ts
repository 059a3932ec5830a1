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

/** Connections of another user's processes than a listener is for. */
export interface OtherUser {
  /** Its configured address. */
  readonly listener: string
  /** Of the last of them; undefined: nobody can tell. */
  readonly uid: number | undefined
  /** Since it was told last. */
  readonly count: number
}

export interface RefusalsOptions {
  /** Its configured address. */
  readonly listener: string
  readonly maxConnections: number
  readonly sockets: SocketLane
  readonly metrics: ListenerMetrics
  /** Monotonic milliseconds. */
  readonly now: () => number
  readonly log: Log
  /** Hears of processes of other users, when the log does. */
  readonly onOtherUser?: ((refused: OtherUser) => void) | undefined
}

export class Refusals {
  readonly #options: RefusalsOptions
  readonly #told = new Map<string, { at: number; since: number }>()

  constructor(options: RefusalsOptions) {
    this.#options = options
  }

  /** A connection was not taken. */
  connection(reason: Refusal, error?: Error): void {
    const since = this.#count(reason)
    if (since === undefined) return
    const more = moreSince(since)
    const { log } = this.#options
    if (error === undefined) {
      log("warning", `${this.noRoom(reason)}; further ones are refused as they come${more}`)
    } else {
      const { listener } = this.#options
      log("error", `${listener} could not accept a connection: ${error.message}${more}`)
    }
  }

  /** Its process is of another user; undefined: nobody can tell of which. */
  stranger(uid: number | undefined): void {
    const since = this.#count("other_user")
    if (since === undefined) return
    const { listener, log, onOtherUser } = this.#options
    onOtherUser?.({ listener, uid, count: since + 1 })
    const whose = uid === undefined ? "no user of this host that can be told" : `user ${uid}`
    log("warning", `${listener} refused a connection of ${whose}${moreSince(since)}`)
  }

  /** How many there were since it was told last; undefined: it is not, so soon after that. */
  #count(reason: Refusal): number | undefined {
    const { metrics, now } = this.#options
    metrics.refused(reason)
    const told = this.#told.get(reason)
    if (told !== undefined && now() - told.at < quietFor) {
      told.since++
      return undefined
    }
    this.#told.set(reason, { at: now(), since: 0 })
    return told?.since ?? 0
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

const moreSince = (count: number): string => (count === 0 ? "" : `; ${count} more since the last`)
