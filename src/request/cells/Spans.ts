/**
 * What the observer needs of tracing, so that it can do without: the OpenTelemetry SDK is loaded
 * only when a collector is configured.
 */
import type { ExchangeInfo, Outcome } from "../../model/Observer.ts"
import type { TraceContext } from "./TraceContext.ts"

export interface SpanSource {
  /** `at`: the ticker's monotonic milliseconds. Without `parent` it is the root of a new trace. */
  start(info: ExchangeInfo, parent: TraceContext | undefined, at: number): ExchangeSpan
}

/** The span of one exchange at one node. Nothing is called after `end`. */
export interface ExchangeSpan {
  /** What the forwarded request carries: this span as the parent. */
  readonly context: TraceContext
  responded(status: number, at: number): void
  endpoint(key: string, node: string): void
  event(
    name: string,
    attributes: Readonly<Record<string, string | number | boolean>> | undefined,
    at: number
  ): void
  end(outcome: Outcome, bytesIn: number, bytesOut: number, at: number): void
}
