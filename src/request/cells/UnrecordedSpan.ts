/**
 * Stands for a span there is no room for: its context goes on to the endpoint, whose node may have
 * room, and nothing else is kept or even made of it.
 */
import type { SpanIds } from "./SpanIds.ts"
import type { ExchangeSpan } from "./Spans.ts"
import { sampledFlag, type TraceContext } from "./TraceContext.ts"

export class UnrecordedSpan implements ExchangeSpan {
  readonly context: TraceContext

  constructor(ids: SpanIds, parent: TraceContext | undefined) {
    this.context = {
      parent: {
        traceId: parent?.parent.traceId ?? ids.traceId(),
        spanId: ids.spanId(),
        flags: (parent?.parent.flags ?? 0) | sampledFlag
      },
      state: parent?.state ?? ""
    }
  }

  responded(): void {}
  endpoint(): void {}
  event(): void {}
  end(): void {}
}
