/**
 * Services that nobody offers any more: their last program has ended or is being started again, they were taken out of
 * a config, or their last node is gone; which of these is not known. For a while a call to one of them fails as to any
 * service that is down, which callers try again, and not as to a name that there is not.
 */
import type { ServiceName } from "../../model/Names.ts"

export interface LostService {
  /** Names of some of the nodes that offered it last. */
  readonly nodes: ReadonlyArray<string>
  /** How many others there were. */
  readonly more: number
  /** Milliseconds, as of the ticker. */
  readonly since: number
}

/** Milliseconds: longer than a program needs to be started again, also after it has failed a few times. */
export const rememberedFor = 300_000
/** Of more, the one that was lost first is forgotten. */
const most = 256
/** Nodes of each that are told. */
const told = 3

export class LostServices {
  readonly #lost = new Map<ServiceName, LostService>()

  lose(service: ServiceName, nodes: ReadonlyArray<string>, now: number): void {
    this.#lost.delete(service)
    const [oldest] = this.#lost.keys()
    if (this.#lost.size >= most && oldest !== undefined) this.#lost.delete(oldest)
    const some = nodes.slice(0, told)
    this.#lost.set(service, { nodes: some, more: nodes.length - some.length, since: now })
  }

  /** Somebody offers it again. */
  found(service: ServiceName): void {
    this.#lost.delete(service)
  }

  get(service: ServiceName, now: number): LostService | undefined {
    const lost = this.#lost.get(service)
    if (lost === undefined || now - lost.since < rememberedFor) return lost
    this.#lost.delete(service)
    return undefined
  }
}
