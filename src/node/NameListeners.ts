/**
 * Listens at the addresses of services, each when its name is first asked for: a thousand services are
 * not a thousand sockets. What is open stays open as long as somebody offers the service, since
 * programs keep an address for longer than they are told.
 */

import type { NamedService } from "../dns/NameBook.ts"
import type { ServiceAddresses } from "../dns/ServiceAddresses.ts"
import type { ServiceName } from "../model/Names.ts"
import { reasonOf } from "../model/Reason.ts"
import type { ListenSpec } from "../request/PlaneMessages.ts"
import type { OpenPort } from "./ThreadPorts.ts"

export interface NameListenersOptions {
  readonly open: (spec: ListenSpec) => Promise<OpenPort>
  readonly addresses: Pick<ServiceAddresses, "addressOf">
  /** Monotonic ms. */
  readonly now: () => number
  /** For what runs over a listener that is no longer wanted, ms. */
  readonly deadline: () => number
  readonly suffix: string
  /** Pages of these origins may call by gRPC-Web. Undefined: it is not translated. */
  readonly grpcWeb?: ReadonlyArray<string> | undefined
  readonly warn: (message: string) => void
  /** Hears of the services that are listened for, when that changes. */
  readonly onChange: (services: ReadonlyArray<ServiceName>) => void
}

/** Services that are listened for at a time; each has a socket in every request thread. */
export const mostNames = 1_024
/** Before it is tried again to listen where it failed, ms. */
const failedFor = 5_000

interface Wanted {
  readonly address: string
  readonly port: number
  readonly protocol: NamedService["protocol"]
  readonly detect: number | undefined
}

interface Listening extends Wanted {
  readonly opened: Promise<OpenPort>
  /** Monotonic ms; it could not be opened. */
  failedAt: number | undefined
}

export class NameListeners {
  readonly #options: NameListenersOptions
  readonly #listening = new Map<ServiceName, Listening>()
  /** When it was last told that there may be no more, monotonic ms. */
  #toldFullAt = Number.NEGATIVE_INFINITY

  constructor(options: NameListenersOptions) {
    this.#options = options
  }

  get count(): number {
    return this.#listening.size
  }

  /** The address at which it is listened for; rejects when that cannot be. */
  async reach(service: NamedService): Promise<string> {
    const held = this.#listening.get(service.name)
    const wanted = this.#wanted(service)
    if (held !== undefined && isFor(held, wanted) && !this.#isStale(held)) {
      await held.opened
      return held.address
    }
    const freed = Promise.all([this.#free(service.name), ...this.#inTheWay(wanted)])
    if (this.#listening.size >= mostNames) throw this.#full(service.name)
    const opened = freed.then(() => this.#options.open(this.#spec(service, wanted)))
    const listening: Listening = { ...wanted, opened, failedAt: undefined }
    this.#listening.set(service.name, listening)
    if (held === undefined) this.#options.onChange([...this.#listening.keys()])
    try {
      await opened
    } catch (cause) {
      listening.failedAt = this.#options.now()
      throw this.#failed(service.name, reasonOf(cause))
    }
    return wanted.address
  }

  /** Nobody offers it any more: what runs is waited for. */
  close(service: ServiceName): void {
    void this.#free(service)
  }

  /** Done when the port can be taken again. */
  async #free(service: ServiceName): Promise<void> {
    const held = this.#listening.get(service)
    this.#listening.delete(service)
    // One that never came to be open is no trouble; why it did not is told.
    const port = await held?.opened.catch(() => undefined)
    if (port === undefined) return
    await port.stop()
    void port.drain(this.#options.deadline()).finally(() => port.close())
  }

  /** Of two names that are drawn to one address the other one has it now. */
  #inTheWay({ address, port }: Wanted): ReadonlyArray<Promise<void>> {
    return Array.from(this.#listening).flatMap(([name, held]) =>
      held.address === address && held.port === port ? [this.#free(name)] : []
    )
  }

  /** Of all services. */
  stop(): void {
    for (const { opened } of this.#listening.values()) {
      opened.then(
        (port) => port.close(),
        () => {}
      )
    }
    this.#listening.clear()
  }

  #wanted({ detect, name, port, protocol }: NamedService): Wanted {
    const address = this.#options.addresses.addressOf(name)
    if (address === undefined) throw this.#failed(name, "no address is left in dns.addresses")
    if (port === undefined) throw this.#failed(name, "it has no port")
    return { address, detect, port, protocol }
  }

  #isStale({ failedAt }: Listening): boolean {
    return failedAt !== undefined && this.#options.now() - failedAt >= failedFor
  }

  #spec({ name }: NamedService, { address, detect, port, protocol }: Wanted): ListenSpec {
    const common = { host: address, port, service: name }
    if (protocol === "tcp") return { ...common, kind: "tcp" }
    const names = [`${name}.${this.#options.suffix}`]
    const { grpcWeb } = this.#options
    return { ...common, kind: "http", remoteNames: undefined, names, detect, grpcWeb }
  }

  /** Told once in a while: whoever asks for names makes no log grow. */
  #full(service: ServiceName): Error {
    const message = `${mostNames} services are listened for by name, which is as many as there may be`
    const now = this.#options.now()
    if (now - this.#toldFullAt < failedFor) return new Error(message)
    this.#toldFullAt = now
    return this.#failed(service, message)
  }

  #failed(service: ServiceName, reason: string): Error {
    const message = `${service}.${this.#options.suffix} cannot be called by its name on this host: ${reason}`
    this.#options.warn(message)
    return new Error(message)
  }
}

const isFor = (held: Listening, wanted: Wanted): boolean =>
  held.address === wanted.address &&
  held.port === wanted.port &&
  held.detect === wanted.detect &&
  (held.protocol === "tcp") === (wanted.protocol === "tcp")
