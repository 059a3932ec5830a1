/**
 * What programs say of their actors, as metrics of their host's node, by type: no actor is in a label. What a
 * program counts is added here as far as it has grown since it was asked last, so that a program which ends takes
 * nothing back, and one that does not answer adds nothing.
 */
import type { Counter, Gauge, Histogram } from "../request/cells/Cells.ts"
import type { Family } from "../request/cells/Family.ts"
import type { MetricRegistry } from "../request/cells/Metrics.ts"
import type { ActorReport } from "../schema/ActorReportSchema.ts"
import { hasBounds } from "./ActorViews.ts"
import type { HostAnswer } from "./HostActors.ts"

const byType = ["actor_type"] as const
const byResult = ["actor_type", "result"] as const

type Results = Family<Counter, "counter", (typeof byResult)[number]>

/** What a gauge shows of a type: the sum over the programs of this host. */
interface TypeGauge {
  readonly family: Family<Gauge, "gauge", "actor_type">
  readonly of: (report: ActorReport) => number
}

/** Words of metrics for what becomes of a message. */
const messageResults: Readonly<Record<keyof ActorReport["messages"], string>> = {
  ok: "success",
  failed: "failure",
  died: "died",
  cancelled: "cancelled",
  mailboxFull: "mailbox_full",
  moved: "moved",
  unavailable: "unavailable"
}

export class ActorMetrics {
  readonly #messages: Results
  readonly #saves: Results
  readonly #moved: Results
  readonly #given: Results
  readonly #crashes: Family<Counter, "counter", "actor_type">
  readonly #lost: Family<Counter, "counter", "actor_type">
  readonly #duration: Family<Histogram, "histogram", "actor_type">
  readonly #gauges: ReadonlyArray<TypeGauge>
  /** By the key of the type's endpoint, as it was told last. */
  #told = new Map<string, ActorReport>()

  constructor(registry: MetricRegistry) {
    this.#messages = registry.counter(
      "skein_actors_messages_total",
      "Messages that have come to actors of this host's programs, by what became of them.",
      byResult
    )
    this.#saves = registry.counter(
      "skein_actors_saves_total",
      "Saves of actors of this host's programs, by what became of them.",
      byResult
    )
    this.#moved = registry.counter(
      "skein_actors_shards_moved_total",
      "Shards of actors that this host's programs have taken from others, or left to others.",
      byResult
    )
    this.#given = registry.counter(
      "skein_actors_states_given_total",
      "States of actors that left this host's programs, and were or could not be given to their next hosts.",
      byResult
    )
    this.#lost = registry.counter(
      "skein_actors_lost_messages_total",
      "Messages that actors of this host's programs were told and that were not handled.",
      byType
    )
    this.#crashes = registry.counter(
      "skein_actors_crashes_total",
      "Crashes of actors of this host's programs.",
      byType
    )
    this.#duration = registry.histogram(
      "skein_actors_message_duration_seconds",
      "From when a message came to an actor of this host's programs until it was answered.",
      byType
    )
    const gauge = (name: string, help: string, of: TypeGauge["of"]): TypeGauge => ({
      family: registry.gauge(name, help, byType),
      of
    })
    this.#gauges = [
      gauge(
        "skein_actors_in_memory",
        "Actors in memory of this host's programs.",
        ({ activations }) => activations
      ),
      gauge(
        "skein_actors_waiting_messages",
        "Messages that wait in mailboxes of this host's programs.",
        ({ waiting }) => waiting
      ),
      gauge(
        "skein_actors_shards",
        "Of the 256 shards of a type, those that belong to this host's programs.",
        ({ shards }) => shards.owned
      )
    ]
  }

  /**
   * What the programs have answered for a scrape. `isOffered`: whether an endpoint is still there, by its key; of one
   * that only did not answer it is known how far it was counted.
   */
  note({ reports }: HostAnswer, isOffered: (key: string) => boolean): void {
    for (const { report } of reports) this.#count(report, this.#told.get(report.key))
    for (const key of [...this.#told.keys()]) if (!isOffered(key)) this.#told.delete(key)
    for (const { report } of reports) this.#told.set(report.key, report)
    const types = new Map<string, Array<ActorReport>>()
    // One that did not answer is as it was when it did.
    for (const report of this.#told.values()) {
      const known = types.get(report.type)
      if (known === undefined) types.set(report.type, [report])
      else known.push(report)
    }
    for (const { family, of } of this.#gauges) {
      for (const [type, all] of types) {
        family.cell({ actor_type: type }).set(all.reduce((sum, report) => sum + of(report), 0))
      }
      family.sweep()
    }
  }

  #count(now: ActorReport, before: ActorReport | undefined): void {
    const { type: actor_type } = now
    const add = (family: Results, result: string, is: number, was: number | undefined): void =>
      family.cell({ actor_type, result }).inc(grown(is, was))
    for (const [name, result] of Object.entries(messageResults)) {
      const key = name as keyof ActorReport["messages"] // of the record above
      add(this.#messages, result, now.messages[key], before?.messages[key])
    }
    add(this.#saves, "success", now.saves.ok, before?.saves.ok)
    add(this.#saves, "failure", now.saves.failed, before?.saves.failed)
    add(this.#saves, "fenced", now.saves.fenced, before?.saves.fenced)
    add(this.#moved, "taken", now.shards.in, before?.shards.in)
    add(this.#moved, "left", now.shards.out, before?.shards.out)
    add(this.#given, "success", now.given?.ok ?? 0, before?.given?.ok)
    add(this.#given, "failure", now.given?.failed ?? 0, before?.given?.failed)
    this.#lost.cell({ actor_type }).inc(grown(now.lost ?? 0, before?.lost))
    this.#crashes.cell({ actor_type }).inc(grown(now.crashes, before?.crashes))
    const duration = this.#duration.cell({ actor_type })
    if (!hasBounds(now.latency, duration.bounds)) return
    const counts = before?.latency.counts ?? []
    duration.add(
      now.latency.counts.map((count, at) => grown(count, counts[at])),
      grown(now.latency.sum, before?.latency.sum)
    )
  }
}

/** One that is less than it was has begun anew. */
const grown = (is: number, was = 0): number => (is >= was ? is - was : is)
