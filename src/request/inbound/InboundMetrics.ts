/** What the owner of endpoints counts of them, beyond what is counted of each exchange. */
import type { PeerKey, ServiceName } from "../../model/Names.ts"
import type { Counter, Gauge } from "../cells/Cells.ts"
import type { Family } from "../cells/Family.ts"
import type { MetricRegistry } from "../cells/Metrics.ts"

export interface EndpointCells {
  readonly inFlight: Gauge
  readonly connections: Gauge
  readonly waiting: Gauge
  readonly healthy: Gauge
  readonly connectFailures: Counter
  readonly staleRetries: Counter
  readonly droppedTrailers: Counter
}

const endpointLabels = ["service", "endpoint"] as const
type EndpointLabels = Readonly<Record<(typeof endpointLabels)[number], string>>

export class InboundMetrics {
  readonly #peer: PeerKey
  readonly #inFlight: Family<Gauge, "gauge", keyof EndpointLabels>
  readonly #connections: Family<Gauge, "gauge", keyof EndpointLabels>
  readonly #waiting: Family<Gauge, "gauge", keyof EndpointLabels>
  readonly #healthy: Family<Gauge, "gauge", keyof EndpointLabels>
  readonly #connectFailures: Family<Counter, "counter", keyof EndpointLabels>
  readonly #staleRetries: Family<Counter, "counter", keyof EndpointLabels>
  readonly #droppedTrailers: Family<Counter, "counter", keyof EndpointLabels>

  /** `peer`: this node's, so that an endpoint has one name on its own node and on its callers'. */
  constructor(registry: MetricRegistry, peer: PeerKey) {
    this.#peer = peer
    this.#inFlight = registry.gauge(
      "skein_inbound_endpoint_in_flight",
      "Exchanges that run on a local endpoint.",
      endpointLabels
    )
    this.#connections = registry.gauge(
      "skein_inbound_endpoint_connections",
      "Connections to a local endpoint, idle ones included.",
      endpointLabels
    )
    this.#waiting = registry.gauge(
      "skein_inbound_endpoint_waiting",
      "Requests that wait for a connection to a local endpoint.",
      endpointLabels
    )
    this.#healthy = registry.gauge(
      "skein_inbound_endpoint_healthy",
      "1 when the endpoint's health check passes or it has none.",
      endpointLabels,
      "max"
    )
    this.#connectFailures = registry.counter(
      "skein_inbound_connect_failures_total",
      "Connections to a local endpoint that could not be made.",
      endpointLabels
    )
    this.#staleRetries = registry.counter(
      "skein_inbound_stale_retries_total",
      "Requests sent again because the endpoint had closed the kept connection they went out on.",
      endpointLabels
    )
    this.#droppedTrailers = registry.counter(
      "skein_inbound_dropped_trailers_total",
      "Trailer fields of responses that were not passed on, because no trailer may be named so.",
      endpointLabels
    )
  }

  endpoint(service: ServiceName, id: string): EndpointCells {
    const labels = this.#labels(service, id)
    return {
      inFlight: this.#inFlight.cell(labels),
      connections: this.#connections.cell(labels),
      waiting: this.#waiting.cell(labels),
      healthy: this.#healthy.cell(labels),
      connectFailures: this.#connectFailures.cell(labels),
      staleRetries: this.#staleRetries.cell(labels),
      droppedTrailers: this.#droppedTrailers.cell(labels)
    }
  }

  remove(service: ServiceName, id: string): void {
    const labels = this.#labels(service, id)
    for (const family of [this.#inFlight, this.#connections, this.#waiting, this.#healthy]) {
      family.remove(labels)
    }
    for (const family of [this.#connectFailures, this.#staleRetries, this.#droppedTrailers]) {
      family.remove(labels)
    }
  }

  /** What the mesh calls the endpoint. */
  keyOf(service: ServiceName, id: string): string {
    return `${this.#peer}/${service}/${id}`
  }

  #labels(service: ServiceName, id: string): EndpointLabels {
    return { service, endpoint: this.keyOf(service, id) }
  }
}
