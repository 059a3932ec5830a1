/**
 * Connections that admission refused, in the node's log: outsiders cause them at will, so each
 * kind is told at most once a minute, with how many there were since.
 */
import { Effect, Runtime } from "effect"
import type { Refusal } from "../mesh/trust/AdmissionEncrypter.ts"
import type { Counter } from "../request/cells/Cells.ts"
import type { Family } from "../request/cells/Family.ts"
import type { MetricRegistry } from "../request/cells/Metrics.ts"

const quietFor = 60_000
/** Kinds remembered; codes are few, so this is a guard, not a budget. */
const maxKinds = 64

export class RefusalLog {
  readonly #count: Family<Counter, "counter", "direction" | "by" | "code">
  readonly #log: (message: string) => void
  readonly #now: () => number
  readonly #kinds = new Map<string, { toldAt: number; since: number }>()

  private constructor(metrics: MetricRegistry, log: (message: string) => void, now: () => number) {
    this.#count = metrics.counter(
      "skein_handshakes_refused_total",
      "Connections between nodes that were refused, by direction (inbound: from another node), by who refused (us or peer), and by the reason's code; busy: to be tried again in a moment.",
      ["direction", "by", "code"]
    )
    this.#log = log
    this.#now = now
  }

  static readonly make = (metrics: MetricRegistry): Effect.Effect<RefusalLog> =>
    Effect.gen(function* () {
      const runFork = Runtime.runFork(yield* Effect.runtime<never>())
      const clock = yield* Effect.clock
      return new RefusalLog(
        metrics,
        (message) => void runFork(Effect.logWarning(message)),
        // Monotonic: a wall clock that is set back must not silence the very refusals it causes.
        () => Number(clock.unsafeCurrentTimeNanos()) / 1e6
      )
    })

  add({ direction, address, peer, code, by, message }: Refusal): void {
    this.#count.cell({ direction, by, code }).inc()
    const kind = `${direction} ${by} ${code}`
    const known = this.#kinds.get(kind)
    if (known !== undefined && this.#now() - known.toldAt < quietFor) {
      known.since++
      return
    }
    if (known === undefined && this.#kinds.size >= maxKinds) return
    const who = peer ?? "somebody"
    const where = address === undefined ? "" : ` at ${address}`
    const more = known === undefined || known.since === 0 ? "" : ` (${known.since} more like it)`
    const way = direction === "inbound" ? "from" : "to"
    const what = by === "peer" ? "was refused by" : `refused a connection ${way}`
    this.#log(`${what} ${who}${where}: ${code}: ${message}${more}`)
    this.#kinds.set(kind, { toldAt: this.#now(), since: 0 })
  }
}
