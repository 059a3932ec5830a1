/** What a trace says of who called whom. */
import type { TraceSpan } from "../../stage/TraceCollector.ts"

/**
 * The services that each call came through, the customer's first: `order > payment > inventory`. A call is one
 * where both its ends are there, the caller's node and the service's; sorted.
 */
export const callPaths = (spans: ReadonlyArray<TraceSpan>): ReadonlyArray<string> => {
  const byId = new Map(spans.map((span) => [span.spanId, span]))
  const pathOf = (span: TraceSpan | undefined): ReadonlyArray<string> => {
    const sent = span === undefined ? undefined : byId.get(span.parentSpanId ?? "")
    if (span === undefined || sent?.side !== "caller") return []
    return [...pathOf(byId.get(sent.parentSpanId ?? "")), span.service]
  }
  return spans
    .filter(({ side }) => side === "callee")
    .map((span) => pathOf(span).join(" > "))
    .sort()
}
