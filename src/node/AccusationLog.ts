/**
 * Who tells this node, or others of it, that it is out of reach. Now and then that is how membership
 * works; without end it is a fault of the accuser's, which is named: counted always, and told in the
 * log when it comes to more than honest observers ever say.
 */
import { Effect, Runtime } from "effect"
import type { PeerKey } from "../model/Names.ts"
import type { Counter } from "../request/cells/Cells.ts"
import type { Family } from "../request/cells/Family.ts"
import type { MetricRegistry } from "../request/cells/Metrics.ts"

/** Milliseconds over which accusations are counted. */
const window = 60_000
/** Within one: an observer that cannot reach us asks and repeats itself some 90 times. */
const flood = 300
/** Milliseconds until the same accuser is named again. */
const quietFor = 10 * window
/** Accusers remembered; those that watch this node are at most sixteen. */
const maxAccusers = 256

interface Accuser {
  readonly counter: Counter
  began: number
  count: number
  toldAt: number
}

export interface AccusationLogOptions {
  readonly metrics: MetricRegistry
  readonly nameOf: (peer: PeerKey) => string
  /** Monotonic ms. */
  readonly now: () => number
}

export class AccusationLog {
  readonly #options: AccusationLogOptions
  readonly #log: (message: string) => void
  readonly #family: Family<Counter, "counter", "node">
  /** In the order of their windows' beginning. */
  readonly #accusers = new Map<PeerKey, Accuser>()

  private constructor(options: AccusationLogOptions, log: (message: string) => void) {
    this.#options = options
    this.#log = log
    this.#family = options.metrics.counter(
      "skein_membership_accusations_total",
      "How often another node said that this one is out of reach, by the node that said it.",
      ["node"]
    )
  }

  static readonly make = (options: AccusationLogOptions): Effect.Effect<AccusationLog> =>
    Effect.map(Effect.runtime<never>(), (runtime) => {
      const log = (message: string) => void Runtime.runFork(runtime)(Effect.logWarning(message))
      return new AccusationLog(options, log)
    })

  readonly add = (by: PeerKey): void => {
    const now = this.#options.now()
    const accuser = this.#accuser(by, now)
    accuser.counter.inc()
    accuser.count++
    if (accuser.count < flood || now - accuser.toldAt < quietFor) return
    accuser.toldAt = now
    this.#log(
      `${this.#options.nameOf(by)} (${by}) has accused this node ${accuser.count} times within a minute of being out of reach, though it answers: is the network of that host broken one way, or its node not to be trusted?`
    )
  }

  #accuser(by: PeerKey, now: number): Accuser {
    const known = this.#accusers.get(by)
    if (known !== undefined && now - known.began < window) return known
    this.#accusers.delete(by)
    if (this.#accusers.size >= maxAccusers) {
      const [oldest] = this.#accusers.keys()
      if (oldest !== undefined) this.#accusers.delete(oldest)
    }
    const counter = known?.counter ?? this.#family.cell({ node: this.#options.nameOf(by) })
    const toldAt = known?.toldAt ?? Number.NEGATIVE_INFINITY
    const accuser: Accuser = { counter, began: now, count: 0, toldAt }
    this.#accusers.set(by, accuser)
    return accuser
  }
}
