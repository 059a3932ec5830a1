/**
 * The golden signals of one (direction, service, caller): found once per exchange by two map
 * look-ups, then counted by plain additions.
 */
import { type FaultCode, faultKinds } from "../../model/Fault.ts"
import { grpcStatusName, isGrpcFailure } from "../../model/GrpcStatus.ts"
import type { ExchangeInfo, Outcome } from "../../model/Observer.ts"
import type { Counter, Gauge, Histogram } from "./Cells.ts"
import type { Family } from "./Family.ts"
import type { MetricRegistry } from "./Metrics.ts"

/** How an exchange ended, for the mesh: a fault by its code, a 5xx as failure, else success. */
export type ExchangeResult = "success" | "failure" | FaultCode

type Direction = ExchangeInfo["direction"]

const pairLabels = ["direction", "service", "caller"] as const
type PairLabel = (typeof pairLabels)[number]

/** The one list of the exchange metrics. */
export class ExchangeFamilies {
  readonly requests: Family<Counter, "counter", PairLabel | "result" | "status_class">
  readonly grpc: Family<Counter, "counter", PairLabel | "grpc_status">
  readonly firstByte: Family<Histogram, "histogram", PairLabel>
  readonly duration: Family<Histogram, "histogram", PairLabel>
  readonly inFlight: Family<Gauge, "gauge", PairLabel>
  readonly requestBytes: Family<Counter, "counter", PairLabel>
  readonly responseBytes: Family<Counter, "counter", PairLabel>

  constructor(registry: MetricRegistry) {
    this.requests = registry.counter(
      "skein_requests_total",
      "Exchanges that ended. result: success, failure (5xx, or what counts as such in gRPC) or the code of the mesh's fault.",
      [...pairLabels, "result", "status_class"]
    )
    this.grpc = registry.counter(
      "skein_grpc_calls_total",
      "Calls to services with protocol grpc that ended, by the status their caller was given.",
      [...pairLabels, "grpc_status"]
    )
    this.firstByte = registry.histogram(
      "skein_request_first_byte_seconds",
      "Time until the response head.",
      pairLabels
    )
    this.duration = registry.histogram(
      "skein_request_duration_seconds",
      "Time until the end of the response; tunnels and upgraded connections are not counted.",
      pairLabels
    )
    this.inFlight = registry.gauge(
      "skein_requests_in_flight",
      "Exchanges that have not ended.",
      pairLabels
    )
    this.requestBytes = registry.counter(
      "skein_request_body_bytes_total",
      "Request body bytes.",
      pairLabels
    )
    this.responseBytes = registry.counter(
      "skein_response_body_bytes_total",
      "Response body bytes.",
      pairLabels
    )
  }
}

const noStatus = 0

export class ExchangeCells {
  readonly firstByte: Histogram
  readonly duration: Histogram
  readonly inFlight: Gauge
  readonly requestBytes: Counter
  readonly responseBytes: Counter
  /** Ticker milliseconds of the last begin. */
  lastUsed = 0
  readonly #families: ExchangeFamilies
  readonly #labels: Readonly<Record<PairLabel, string>>
  /** By result, then by status class 0–5 (0: none). Few of these ever exist. */
  readonly #requests = new Map<ExchangeResult, Array<Counter | undefined>>()
  /** By status of gRPC. */
  readonly #grpc = new Map<number, Counter>()

  constructor(families: ExchangeFamilies, direction: Direction, service: string, caller: string) {
    this.#families = families
    this.#labels = { direction, service, caller }
    this.firstByte = families.firstByte.cell(this.#labels)
    this.duration = families.duration.cell(this.#labels)
    this.inFlight = families.inFlight.cell(this.#labels)
    this.requestBytes = families.requestBytes.cell(this.#labels)
    this.responseBytes = families.responseBytes.cell(this.#labels)
  }

  /** `status`: of the response head that was forwarded, 0 when there was none. */
  count(outcome: Outcome, status: number): void {
    const result: ExchangeResult =
      outcome.kind === "fault"
        ? outcome.code
        : outcome.status >= 500 || (outcome.grpc !== undefined && isGrpcFailure(outcome.grpc))
          ? "failure"
          : "success"
    const shown =
      status !== noStatus
        ? status
        : outcome.kind === "fault"
          ? faultKinds[outcome.code].status
          : outcome.status
    const statusClass = shown >= 100 && shown < 600 ? Math.floor(shown / 100) : 0
    let byClass = this.#requests.get(result)
    if (byClass === undefined) {
      byClass = new Array<Counter | undefined>(6).fill(undefined)
      this.#requests.set(result, byClass)
    }
    byClass[statusClass] ??= this.#families.requests.cell(this.#requestLabels(result, statusClass))
    byClass[statusClass].inc()
  }

  countGrpc(status: number): void {
    let counter = this.#grpc.get(status)
    if (counter === undefined) {
      counter = this.#families.grpc.cell(this.#grpcLabels(status))
      this.#grpc.set(status, counter)
    }
    counter.inc()
  }

  /** Takes all of its cells off the registry. */
  free(): void {
    const families = this.#families
    families.firstByte.remove(this.#labels)
    families.duration.remove(this.#labels)
    families.inFlight.remove(this.#labels)
    families.requestBytes.remove(this.#labels)
    families.responseBytes.remove(this.#labels)
    for (const status of this.#grpc.keys()) families.grpc.remove(this.#grpcLabels(status))
    for (const [result, byClass] of this.#requests) {
      for (let i = 0; i < byClass.length; i++) {
        if (byClass[i] !== undefined) families.requests.remove(this.#requestLabels(result, i))
      }
    }
  }

  #grpcLabels(status: number) {
    return { ...this.#labels, grpc_status: grpcStatusName(status) }
  }

  #requestLabels(result: ExchangeResult, statusClass: number) {
    return {
      ...this.#labels,
      result,
      status_class: statusClass === 0 ? "none" : `${statusClass}xx`
    }
  }
}

/** Idle this long, the cells of a pair are freed; Prometheus then sees the series end. */
const idleAfter = 60 * 60_000
/** When the table is full, how often to look for idle cells. */
const sweepEvery = 60_000

/**
 * Cells by service and caller, bounded: with `limit` pairs in use, new ones share one pair
 * labelled `other`. Services and callers that have come and gone are freed.
 */
export class ExchangeCellTable {
  readonly #families: ExchangeFamilies
  readonly #limit: number
  readonly #pairs: Record<Direction, Map<string, Map<string, ExchangeCells>>> = {
    outbound: new Map(),
    inbound: new Map()
  }
  readonly #others: Record<Direction, ExchangeCells | undefined> = {
    outbound: undefined,
    inbound: undefined
  }
  #size = 0
  #sweptAt = Number.NEGATIVE_INFINITY

  constructor(registry: MetricRegistry, limit = 1_024) {
    this.#families = new ExchangeFamilies(registry)
    this.#limit = limit
  }

  /** Pairs held. */
  get size(): number {
    return this.#size
  }

  of(direction: Direction, service: string, caller: string, now: number): ExchangeCells {
    const cells =
      this.#pairs[direction].get(service)?.get(caller) ?? this.#add(direction, service, caller, now)
    cells.lastUsed = now
    return cells
  }

  /** Frees what has been idle for an hour. */
  sweep(now: number): void {
    this.#sweptAt = now
    for (const services of Object.values(this.#pairs)) {
      for (const [service, callers] of services) {
        for (const [caller, cells] of callers) {
          if (cells.inFlight.value > 0 || now - cells.lastUsed < idleAfter) continue
          cells.free()
          callers.delete(caller)
          this.#size--
        }
        if (callers.size === 0) services.delete(service)
      }
    }
  }

  #add(direction: Direction, service: string, caller: string, now: number): ExchangeCells {
    if (this.#size >= this.#limit && now - this.#sweptAt >= sweepEvery) this.sweep(now)
    if (this.#size >= this.#limit) {
      this.#others[direction] ??= new ExchangeCells(this.#families, direction, "other", "other")
      return this.#others[direction]
    }
    const cells = new ExchangeCells(this.#families, direction, service, caller)
    const callers = this.#pairs[direction].get(service)
    if (callers === undefined) this.#pairs[direction].set(service, new Map([[caller, cells]]))
    else callers.set(caller, cells)
    this.#size++
    return cells
  }
}
