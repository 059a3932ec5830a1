/**
 * Tells an attached program who offers a service: all of them at first, then what has changed, at a bounded
 * pace. The first change after a pause is told at once.
 */
import {
  difference,
  type EndpointView,
  type MeshViewCell,
  sameEndpoint
} from "../model/MeshView.ts"
import type { ServiceName } from "../model/Names.ts"
import type { Ticker } from "../model/Time.ts"
import type { Timer } from "../model/TimerWheel.ts"
import { type EndpointNews, newsEndpoints } from "../schema/ProgramTalkSchema.ts"

export interface NewsSink {
  /** Takes more now; what is not told now is told later, with what has come since. */
  readonly ready: () => boolean
  readonly tell: (news: Omit<EndpointNews, "type" | "id">) => void
}

export interface EndpointFollowerOptions {
  readonly service: ServiceName
  readonly view: MeshViewCell
  readonly ticker: Ticker
  readonly sink: NewsSink
}

/** Milliseconds between two tellings. */
const pace = 50

const keyOf = ({ key }: EndpointView): string => key
const nobody: ReadonlyArray<EndpointView> = []

export class EndpointFollower {
  readonly #options: EndpointFollowerOptions
  readonly #unsubscribe: () => void
  /** Undefined: nothing yet. */
  #told: ReadonlyArray<EndpointView> | undefined = undefined
  #changed = false
  #pause: Timer | undefined = undefined

  constructor(options: EndpointFollowerOptions) {
    this.#options = options
    const { service, view } = options
    this.#unsubscribe = view.subscribe((_, { gone, services }) => {
      if (services.some(({ name }) => name === service) || gone.includes(service)) this.#look()
    })
    this.#look()
  }

  stop(): void {
    this.#unsubscribe()
    this.#pause?.cancel()
  }

  #look(): void {
    this.#changed = true
    if (this.#pause !== undefined) return
    const { sink, ticker } = this.#options
    if (sink.ready()) this.#tell()
    this.#pause = ticker.after(pace, () => {
      this.#pause = undefined
      if (this.#changed) this.#look()
    })
  }

  #tell(): void {
    const { service, sink, view } = this.#options
    this.#changed = false
    const now = view.current.services.get(service)?.endpoints ?? nobody
    const whole = this.#told === undefined
    const { removed, set } = difference(this.#told ?? nobody, now, keyOf, sameEndpoint)
    this.#told = now
    if (!whole && removed.length === 0 && set.length === 0) return
    const lines = Math.max(1, Math.ceil(Math.max(set.length, removed.length) / newsEndpoints))
    for (let i = 0; i < lines; i++) {
      const [from, to] = [i * newsEndpoints, (i + 1) * newsEndpoints]
      sink.tell({
        whole: whole && i === 0,
        set: set.slice(from, to),
        removed: removed.slice(from, to),
        more: i < lines - 1
      })
    }
  }
}
