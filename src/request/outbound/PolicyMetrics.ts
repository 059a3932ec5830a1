/** The policy signals: their names, their cells, and the freeing of them. */
import type { ServiceName } from "../../model/Names.ts"
import type { Counter, Gauge, Histogram } from "../cells/Cells.ts"
import type { Family } from "../cells/Family.ts"
import type { MetricRegistry } from "../cells/Metrics.ts"
import type { BreakerState } from "../policy/Breaker.ts"
import type { Verdict } from "../policy/Classifier.ts"
import type { EjectionReason } from "../policy/OutlierEjection.ts"

/** Found once when an endpoint is first seen; the request path only adds to them. */
export interface EndpointCells {
  readonly success: Counter
  readonly failure: Counter
  readonly latency: Histogram
  readonly inFlight: Gauge
}

export interface EndpointPlace {
  readonly service: ServiceName
  readonly endpoint: string
}

type EndpointLabel = "service" | "endpoint"

export class PolicyMetrics {
  readonly #retries: Family<Counter, "counter", "service" | "reason">
  readonly #budgetExhausted: Family<Counter, "counter", "service">
  readonly #transitions: Family<Counter, "counter", EndpointLabel | "to">
  readonly #breakerState: Family<Gauge, "gauge", EndpointLabel>
  readonly #ejections: Family<Counter, "counter", EndpointLabel | "reason">
  readonly #requests: Family<Counter, "counter", EndpointLabel | "result">
  readonly #latency: Family<Histogram, "histogram", EndpointLabel>
  readonly #inFlight: Family<Gauge, "gauge", EndpointLabel>

  constructor(registry: MetricRegistry) {
    this.#retries = registry.counter(
      "skein_retries_total",
      "Attempts after the first, by reason.",
      ["service", "reason"]
    )
    this.#budgetExhausted = registry.counter(
      "skein_retry_budget_exhausted_total",
      "Retries not made because the service's retry budget was spent.",
      ["service"]
    )
    this.#transitions = registry.counter(
      "skein_breaker_transitions_total",
      "Changes of an endpoint's circuit, by the state it went to.",
      ["service", "endpoint", "to"]
    )
    this.#breakerState = registry.gauge(
      "skein_breaker_state",
      "An endpoint's circuit: 0 closed, 1 half-open, 2 open. Absent if it never opened.",
      ["service", "endpoint"],
      "max"
    )
    this.#ejections = registry.counter(
      "skein_ejections_total",
      "Times an endpoint was taken out of rotation for behaving worse than its peers.",
      ["service", "endpoint", "reason"]
    )
    this.#requests = registry.counter(
      "skein_endpoint_requests_total",
      "Attempts sent to an endpoint, by what they counted as.",
      ["service", "endpoint", "result"]
    )
    this.#latency = registry.histogram(
      "skein_endpoint_latency_seconds",
      "Time from sending an attempt to the head of its response.",
      ["service", "endpoint"]
    )
    this.#inFlight = registry.gauge("skein_endpoint_in_flight", "Attempts under way.", [
      "service",
      "endpoint"
    ])
  }

  endpoint(service: ServiceName, endpoint: string): EndpointCells {
    return {
      success: this.#requests.cell({ service, endpoint, result: "success" }),
      failure: this.#requests.cell({ service, endpoint, result: "failure" }),
      latency: this.#latency.cell({ service, endpoint }),
      inFlight: this.#inFlight.cell({ service, endpoint })
    }
  }

  retry(service: ServiceName, verdict: Verdict): void {
    this.#retries.cell({ service, reason: verdict.name }).inc()
  }

  budgetExhausted(service: ServiceName): void {
    this.#budgetExhausted.cell({ service }).inc()
  }

  /** An endpoint's circuit has moved. */
  breaker(place: EndpointPlace, to: BreakerState): void {
    this.#transitions.cell({ service: place.service, endpoint: place.endpoint, to }).inc()
    this.breakerState(place, to)
  }

  /** The same, found out and counted elsewhere. */
  breakerState({ endpoint, service }: EndpointPlace, to: BreakerState): void {
    this.#breakerState.cell({ service, endpoint }).set(breakerStates.indexOf(to))
  }

  ejection(service: ServiceName, endpoint: string, reason: EjectionReason): void {
    this.#ejections.cell({ service, endpoint, reason }).inc()
  }

  /** Frees an endpoint's cells. */
  removeEndpoint(service: ServiceName, endpoint: string): void {
    for (const family of [this.#transitions, this.#ejections, this.#requests]) {
      removeWhere(family, service, endpoint)
    }
    this.#breakerState.remove({ service, endpoint })
    this.#latency.remove({ service, endpoint })
    this.#inFlight.remove({ service, endpoint })
  }

  /** Frees a service's cells, apart from its endpoints'. */
  removeService(service: ServiceName): void {
    removeWhere(this.#retries, service)
    this.#budgetExhausted.remove({ service })
  }
}

/** In the order of their numbers in the gauge. */
const breakerStates: ReadonlyArray<BreakerState> = ["closed", "half_open", "open"]

const removeWhere = (family: Family<Counter>, service: string, endpoint?: string): void => {
  for (const { labels } of [...family.cells.values()]) {
    if (
      labels["service"] === service &&
      (endpoint === undefined || labels["endpoint"] === endpoint)
    ) {
      family.remove(labels)
    }
  }
}
