/**
 * Services at an address that containers reach, which have a loopback of their own. All services are at that one
 * address, told apart by their ports and, where they speak HTTP, by the name in Host: a port of HTTP is for all of them,
 * one of TCP for the first service that wants it. Each is listened at when a name that needs it is first asked for.
 */
import type { NamedService } from "../dns/NameBook.ts"
import type { ServiceName } from "../model/Names.ts"
import { reasonOf } from "../model/Reason.ts"
import type { ListenSpec } from "../request/PlaneMessages.ts"
import type { OpenPort } from "./ThreadPorts.ts"

export interface BridgeListenersOptions {
  readonly open: (spec: ListenSpec) => Promise<OpenPort>
  /** An IP address. */
  readonly host: string
  /** The service that containers speak for. Absent: the host. */
  readonly as: ServiceName | undefined
  readonly suffix: string
  /** Monotonic ms. */
  readonly now: () => number
  /** For what runs over a listener that is no longer wanted, ms. */
  readonly deadline: () => number
  readonly warn: (message: string) => void
  /** Hears of the services that were reached, when there is another. */
  readonly onChange: (services: ReadonlyArray<ServiceName>) => void
}

/** Ports at a time; each is a socket in every request thread. */
export const mostBridgePorts = 1_024
/** Before it is tried again to listen where it failed, ms. */
const failedFor = 5_000

interface Listening {
  /** Whose alone it is; undefined: of all that speak HTTP. */
  readonly owner: ServiceName | undefined
  readonly opened: Promise<OpenPort>
  /** Monotonic ms; it could not be opened. */
  failedAt: number | undefined
}

export class BridgeListeners {
  readonly #options: BridgeListenersOptions
  readonly #listening = new Map<number, Listening>()
  readonly #reached = new Set<ServiceName>()

  constructor(options: BridgeListenersOptions) {
    this.#options = options
  }

  /** The address; rejects when the service cannot be called there. */
  async reach({ name, port, protocol }: NamedService): Promise<string> {
    const { host, now, onChange } = this.#options
    if (port === undefined) throw this.#failed(name, "it has no port")
    const owner = protocol === "tcp" ? name : undefined
    // Where it was before it said something else.
    this.#free(name, (at) => at !== port || owner === undefined)
    const held = this.#listening.get(port)
    if (held !== undefined && !this.#isStale(held)) {
      if (held.owner !== owner) {
        const whose = held.owner === undefined ? "that of HTTP" : `that of ${held.owner}`
        throw this.#failed(name, `port ${port} is ${whose} there; give it another`)
      }
      await held.opened
    } else if (held === undefined && this.#listening.size >= mostBridgePorts) {
      throw this.#failed(name, `${mostBridgePorts} ports are open there, as many as there may be`)
    } else {
      const opened = this.#options.open(this.#spec(port, owner))
      const listening: Listening = { owner, opened, failedAt: undefined }
      this.#listening.set(port, listening)
      try {
        await opened
      } catch (cause) {
        listening.failedAt = now()
        throw this.#failed(name, reasonOf(cause))
      }
    }
    if (!this.#reached.has(name)) onChange([...this.#reached.add(name)])
    return host
  }

  /** Nobody offers it any more. A port of HTTP stays: it is of others as well. */
  close(service: ServiceName): void {
    this.#reached.delete(service)
    this.#free(service, () => true)
  }

  /** Ports that are the service's alone. */
  #free(service: ServiceName, which: (port: number) => boolean): void {
    for (const [port, { opened, owner }] of this.#listening) {
      if (owner !== service || !which(port)) continue
      this.#listening.delete(port)
      opened.then(
        (open) => open.drain(this.#options.deadline()).finally(() => open.close()),
        () => {}
      )
    }
  }

  /** All of them. */
  stop(): void {
    for (const { opened } of this.#listening.values()) {
      opened.then(
        (port) => port.close(),
        () => {}
      )
    }
    this.#listening.clear()
  }

  #isStale({ failedAt }: Listening): boolean {
    return failedAt !== undefined && this.#options.now() - failedAt >= failedFor
  }

  #spec(port: number, owner: ServiceName | undefined): ListenSpec {
    const { as, host } = this.#options
    return owner === undefined
      ? { kind: "proxy", host, port, as }
      : { kind: "tcp", host, port, as, service: owner }
  }

  #failed(service: ServiceName, reason: string): Error {
    const { host, suffix, warn } = this.#options
    const message = `${service}.${suffix} cannot be called at ${host}: ${reason}`
    warn(message)
    return new Error(message)
  }
}
