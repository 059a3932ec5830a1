/** What the open loop is told and what it tells. */
import { Schema } from "effect"

export const LoopSettings = Schema.Struct({
  /** host:port */
  entry: Schema.String,
  /** The Host field. */
  host: Schema.String,
  /** Requests per second. */
  rate: Schema.Positive,
  seconds: Schema.Positive,
  /** Before them; failures count then too, latencies do not. */
  warmUpSeconds: Schema.NonNegative,
  /** At most; they are opened as needed. */
  connections: Schema.Int.pipe(Schema.positive()),
  /** Sent in turn. */
  mix: Schema.NonEmptyArray(
    Schema.Struct({
      method: Schema.String,
      path: Schema.String,
      bodyBytes: Schema.NonNegativeInt
    })
  )
})
export type LoopSettings = typeof LoopSettings.Type

export const LoopReport = Schema.Struct({
  requests: Schema.NonNegativeInt,
  /** Answered with 400 or more, broken off, or never answered. */
  errors: Schema.NonNegativeInt,
  /** Milliseconds from the scheduled moment to the end of the answer. */
  p50: Schema.Finite,
  p99: Schema.Finite,
  p999: Schema.Finite,
  /** Median of how late requests left, in milliseconds: part of every figure, `direct` included. */
  lateness: Schema.Finite
})
export type LoopReport = typeof LoopReport.Type
