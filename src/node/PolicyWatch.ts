/**
 * Says in the log which policies and local ports of the config are in vain, by what the mesh offers:
 * the config alone cannot know. That a service speaks another protocol is told as soon as somebody
 * offers it; that nobody does only after a while, because hosts do not start together. Each is told
 * once.
 */
import { Effect, Runtime, type Scope } from "effect"
import type { NodeConfig } from "../config/NodeConfig.ts"
import { meshWarnings, type ReachWarning } from "../config/PolicyReach.ts"
import { type MeshViewCell, type ViewChange, wholeView } from "../model/MeshView.ts"
import type { ServiceName } from "../model/Names.ts"
import type { Protocol } from "../model/NodeRecord.ts"
import type { Ticker } from "../model/Time.ts"

/** From the node's start until a service that nobody offers is remarkable (ms). */
export const patience = 30_000

export interface PolicyWatchOptions {
  readonly config: () => NodeConfig
  readonly view: MeshViewCell
  readonly ticker: Ticker
}

export class PolicyWatch {
  readonly #options: PolicyWatchOptions
  readonly #log: (message: string) => void
  #told: ReadonlySet<string> = new Set()
  #patient = true
  /** What each service of the view speaks: all that matters of it here. */
  readonly #spoken = new Map<ServiceName, Protocol>()

  private constructor(options: PolicyWatchOptions, log: (message: string) => void) {
    this.#options = options
    this.#log = log
  }

  static readonly make = (
    options: PolicyWatchOptions
  ): Effect.Effect<PolicyWatch, never, Scope.Scope> =>
    Effect.gen(function* () {
      const runFork = Runtime.runFork(yield* Effect.runtime<never>())
      const watch = new PolicyWatch(options, (line) => void runFork(Effect.logWarning(line)))
      watch.#isNews(wholeView(options.view.current))
      const stop = options.view.subscribe((_, change) => {
        if (watch.#isNews(change)) watch.#look()
      })
      const timer = options.ticker.after(patience, () => {
        watch.#patient = false
        watch.#look()
      })
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          stop()
          timer.cancel()
        })
      )
      watch.#look()
      return watch
    })

  /** Everything in vain at the moment, for whoever asks; the log need not repeat it. */
  all(): ReadonlyArray<string> {
    const found = this.#warnings()
    this.#told = new Set(found.map(({ key }) => key))
    return found.map(({ describe }) => describe())
  }

  /** Has a service come or gone, or another protocol? */
  #isNews({ gone, services }: ViewChange): boolean {
    let isNews = gone.length > 0
    for (const name of gone) this.#spoken.delete(name)
    for (const { name, protocol } of services) {
      isNews ||= this.#spoken.get(name) !== protocol
      this.#spoken.set(name, protocol)
    }
    return isNews
  }

  #look(): void {
    const found = this.#warnings()
    // What is in order again, or gone from the config, is forgotten: it may be told anew.
    this.#told = new Set(
      found.flatMap(({ describe, key, reason }) => {
        if (this.#told.has(key)) return [key]
        if (this.#patient && reason === "unknown") return []
        this.#log(describe())
        return [key]
      })
    )
  }

  #warnings(): ReadonlyArray<ReachWarning> {
    return meshWarnings(this.#options.config(), this.#options.view.current.services)
  }
}
