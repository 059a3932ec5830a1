/** What a listener counts. Exchanges are counted behind it, by the outbound stack. */
import type { FaultCode } from "../../model/Fault.ts"
import type { Counter, Gauge } from "../cells/Cells.ts"
import type { Family } from "../cells/Family.ts"
import type { MetricRegistry } from "../cells/Metrics.ts"

export class ListenerMetrics {
  readonly open: Gauge
  readonly accepted: Counter
  readonly #listener: string
  readonly #refused: Family<Counter, "counter", "listener" | "reason">
  readonly #parseErrors: Family<Counter, "counter", "listener" | "rule">
  readonly #resets: Family<Counter, "counter", "listener" | "code">
  readonly #droppedTrailers: Family<Counter, "counter", "listener" | "field">

  /** `listener`: its configured address, so that the label stays the same over restarts. */
  constructor(registry: MetricRegistry, listener: string) {
    this.#listener = listener
    this.open = registry
      .gauge("skein_listener_connections", "Open connections of local applications.", ["listener"])
      .cell({ listener })
    this.accepted = registry
      .counter(
        "skein_listener_accepted_total",
        "Connections taken from local applications since the start.",
        ["listener"]
      )
      .cell({ listener })
    this.#refused = registry.counter(
      "skein_listener_refused_total",
      "Connections of clients that were not taken: as many as the listener may have were open (max_connections), or as many as the limit of open files allows (descriptors), or the system could not accept them (accept_failed), or they are of another user than the listener is for (other_user).",
      ["listener", "reason"]
    )
    this.#parseErrors = registry.counter(
      "skein_listener_parse_errors_total",
      "Requests that were not unambiguous HTTP/1.1, by the rule they broke.",
      ["listener", "rule"]
    )
    this.#resets = registry.counter(
      "skein_listener_tunnel_resets_total",
      "Tunnels of local applications that this node reset, by the fault that ended them.",
      ["listener", "code"]
    )
    this.#droppedTrailers = registry.counter(
      "skein_listener_dropped_trailers_total",
      "Trailer fields of requests that were not passed on, because no trailer may be named so.",
      ["listener", "field"]
    )
  }

  refused(reason: string): void {
    this.#refused.cell({ listener: this.#listener, reason }).inc()
  }

  tunnelReset(code: FaultCode): void {
    this.#resets.cell({ listener: this.#listener, code }).inc()
  }

  parseError(rule: string): void {
    this.#parseErrors.cell({ listener: this.#listener, rule }).inc()
  }

  droppedTrailer(field: string): void {
    this.#droppedTrailers.cell({ listener: this.#listener, field }).inc()
  }
}
