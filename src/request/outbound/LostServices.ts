/**
 * Services that nobody offers any more: their last program has ended, or is being started again. For a while a call
 * to one of them fails as to any service that is down, which callers try again, and not as to a name that there is not.
 */
import type { ServiceName } from "../../model/Names.ts"

export interface LostService {
  /** Names of the nodes that offered it last. */
  readonly nodes: ReadonlyArray<string>
  /** Milliseconds, as of the ticker. */
  readonly since: number
}

/** Milliseconds: longer than a program needs to be started again, also after it has failed a few times. */
export const rememberedFor = 300_000
/** Of more, the one that was lost first is forgotten. */
const most = 256

export class LostServices {
  readonly #lost = new Map<ServiceName, LostService>()

  lose(service: ServiceName, nodes: ReadonlyArray<string>, now: number): void {
    this.#lost.delete(service)
    const [oldest] = this.#lost.keys()
    if (this.#lost.size >= most && oldest !== undefined) this.#lost.delete(oldest)
    this.#lost.set(service, { nodes, since: now })
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
