/**
 * The rules that a request thread holds, and what they say of a call. They are replaced whole; what
 * is made of them is made for each service when it is first called.
 */
import type { AccessSetting } from "../../model/Access.ts"
import type { Call } from "../../model/Exchange.ts"
import type { ServiceName } from "../../model/Names.ts"
import { PathReading } from "../../model/PathReading.ts"
import type { AccessVerdict } from "./AccessVerdict.ts"
import { type HostOf, ServiceAccess } from "./ServiceAccess.ts"

/** More names than a node offers: callers ask for what is not here, too. */
const maxServices = 1_024

export class AccessBook {
  readonly #hostOf: HostOf
  readonly #reading = new PathReading()
  readonly #services = new Map<ServiceName, ServiceAccess>()
  #settings: ReadonlyArray<AccessSetting> = []

  constructor(hostOf: HostOf) {
    this.#hostOf = hostOf
  }

  get settings(): ReadonlyArray<AccessSetting> {
    return this.#settings
  }

  /** Replaces all. */
  set(settings: ReadonlyArray<AccessSetting>): void {
    this.#settings = settings.toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
    this.#services.clear()
  }

  /** Something that is said of the service is in audit. */
  isAudited(service: ServiceName): boolean {
    if (this.#settings.length === 0) return false
    return (this.#services.get(service) ?? this.#compile(service)).isAudited
  }

  /** Undefined: there are no rules at all. `port`: where the program listens; 0: nobody knows. */
  decide(call: Call, port: number): AccessVerdict | undefined {
    if (this.#settings.length === 0) return undefined
    const access = this.#services.get(call.service) ?? this.#compile(call.service)
    return access.decide(call, port, this.#hostOf)
  }

  #compile(service: ServiceName): ServiceAccess {
    const access = new ServiceAccess(service, this.#settings, this.#reading)
    if (this.#services.size >= maxServices) this.#services.clear()
    this.#services.set(service, access)
    return access
  }
}
