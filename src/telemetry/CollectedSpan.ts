/** A span of the request path as OpenTelemetry's exporters read it. */
import {
  createTraceState,
  type HrTime,
  type Link,
  type SpanContext,
  SpanKind,
  type SpanStatus,
  SpanStatusCode,
  TraceFlags
} from "@opentelemetry/api"
import type { Resource } from "@opentelemetry/resources"
import type { ReadableSpan, TimedEvent } from "@opentelemetry/sdk-trace-base"
import type { SpanAttributes, SpanRecord } from "../request/cells/SpanRecord.ts"

/** What all spans of a node have in common. */
export interface SpanOrigin {
  readonly resource: Resource
  readonly instrumentationScope: ReadableSpan["instrumentationScope"]
}

/** Seconds and nanoseconds of ms since 1970. */
const hrTimeOf = (ms: number): HrTime => {
  const seconds = Math.floor(ms / 1_000)
  return [seconds, Math.min(999_999_999, Math.round((ms - seconds * 1_000) * 1e6))]
}

const noLinks: Array<Link> = []

export class CollectedSpan implements ReadableSpan {
  readonly name: string
  readonly kind: SpanKind
  readonly parentSpanContext?: SpanContext
  readonly startTime: HrTime
  readonly endTime: HrTime
  readonly duration: HrTime
  readonly status: SpanStatus
  readonly attributes: SpanAttributes
  readonly events: Array<TimedEvent>
  readonly links = noLinks
  readonly ended = true
  readonly resource: Resource
  readonly instrumentationScope: SpanOrigin["instrumentationScope"]
  readonly droppedAttributesCount = 0
  readonly droppedEventsCount: number
  readonly droppedLinksCount = 0
  readonly #context: SpanContext

  constructor(record: SpanRecord, { resource, instrumentationScope }: SpanOrigin) {
    const { traceId, spanId, parent, state, status } = record
    const traceState = state === "" ? {} : { traceState: createTraceState(state) }
    this.#context = { traceId, spanId, traceFlags: TraceFlags.SAMPLED, ...traceState }
    if (parent !== undefined) {
      this.parentSpanContext = {
        traceId,
        spanId: parent.spanId,
        traceFlags: parent.flags,
        isRemote: true,
        ...traceState
      }
    }
    this.name = record.name
    this.kind = record.kind === "client" ? SpanKind.CLIENT : SpanKind.SERVER
    this.startTime = hrTimeOf(record.startedAt)
    this.endTime = hrTimeOf(record.endedAt)
    this.duration = hrTimeOf(record.endedAt - record.startedAt)
    this.status = {
      code: status.isError ? SpanStatusCode.ERROR : SpanStatusCode.UNSET,
      ...(status.message === undefined ? {} : { message: status.message })
    }
    this.attributes = record.attributes
    this.events = record.events.map(({ name, at, attributes }) => ({
      name,
      time: hrTimeOf(at),
      attributes
    }))
    this.droppedEventsCount = record.droppedEvents
    this.resource = resource
    this.instrumentationScope = instrumentationScope
  }

  spanContext(): SpanContext {
    return this.#context
  }
}
