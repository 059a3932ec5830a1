/**
 * A span that has ended, as plain data: it is made on the request path and crosses to the thread that
 * sends spans to the collector.
 */

export type SpanAttributes = Readonly<Record<string, string | number | boolean>>

export interface SpanEventRecord {
  readonly name: string
  /** Wall clock, ms with a fraction. */
  readonly at: number
  readonly attributes: SpanAttributes
}

export interface SpanRecord {
  /** 32 lower-case hex digits. */
  readonly traceId: string
  /** 16 lower-case hex digits. */
  readonly spanId: string
  /** The span that made the request, with the flags that it came with. Undefined: a new trace. */
  readonly parent: { readonly spanId: string; readonly flags: number } | undefined
  /** `tracestate` of the request; empty when there is none. */
  readonly state: string
  readonly kind: "client" | "server"
  readonly name: string
  /** Wall clock, ms with a fraction. */
  readonly startedAt: number
  /** Never before the start. */
  readonly endedAt: number
  readonly attributes: SpanAttributes
  readonly events: ReadonlyArray<SpanEventRecord>
  /** Events there was no room for: the oldest. */
  readonly droppedEvents: number
  readonly status: { readonly isError: boolean; readonly message?: string }
}

/** Takes the spans of a thread that have ended. */
export interface SpanSink {
  /** There is room for nothing more: a span that begins now would be dropped, most likely. */
  readonly full: boolean
  add(span: SpanRecord): void
  /** For want of room a span was not even begun. */
  drop(): void
}
