/**
 * How much the spans hold that have ended and are not at the collector yet, whether they wait or are
 * being sent. Bounded by number and by bytes, so that memory is bounded whatever the collector does
 * and however long what clients ask for is.
 */

/** What is looked at: a record, or what is made of it for the collector. */
export interface HeldSpan {
  readonly attributes: HeldAttributes
  readonly events: ReadonlyArray<{ readonly attributes?: HeldAttributes }>
  readonly status: { readonly message?: string }
}

type HeldAttributes = Readonly<Record<string, unknown>>

export interface SpanLimits {
  /** Default 2,048. */
  readonly spans: number
  /** As `spanBytes` counts. Default 4 MiB. */
  readonly bytes: number
}

export const defaultSpanLimits: SpanLimits = { spans: 2_048, bytes: 4 * 1024 * 1024 }

/** Of a span and of an event without their texts: objects, times, ids. Measured, roughly. */
const spanOverhead = 1_024
const eventOverhead = 192
const attributeOverhead = 48

const attributeBytes = (attributes: HeldAttributes | undefined): number => {
  let bytes = 0
  for (const name in attributes) {
    const value = attributes[name]
    bytes += attributeOverhead + (typeof value === "string" ? value.length : 8)
  }
  return bytes
}

/** About what a span that has ended holds of memory. The same whenever it is asked. */
export const spanBytes = ({ attributes, events, status }: HeldSpan): number => {
  let bytes = spanOverhead + attributeBytes(attributes) + (status.message?.length ?? 0)
  for (const event of events) bytes += eventOverhead + attributeBytes(event.attributes)
  return bytes
}

export class SpanRoom {
  readonly #limits: SpanLimits
  spans = 0
  bytes = 0

  constructor(limits: SpanLimits) {
    this.#limits = limits
  }

  /** There is room for nothing more: a span that begins now would be dropped, most likely. */
  get full(): boolean {
    return this.spans >= this.#limits.spans || this.bytes >= this.#limits.bytes
  }

  /** False: it does not fit, and is not held. */
  take(span: HeldSpan): boolean {
    if (this.full) return false
    this.spans++
    this.bytes += spanBytes(span)
    return true
  }

  give(spans: ReadonlyArray<HeldSpan>): void {
    for (const span of spans) {
      this.spans--
      this.bytes -= spanBytes(span)
    }
  }
}
