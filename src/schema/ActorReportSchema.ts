/**
 * What a program says of the actors that it runs, when its node asks because somebody looks, or because it is
 * scraped: on the connection `control` (ProgramTalkSchema.ts), between threads, and from node to node. Numbers are
 * counted from when the program began to run the type.
 */
import { Schema } from "effect"
import { ServiceName } from "./NamesSchema.ts"

export const actorLimits = {
  /** Actors that are named in a report, the busiest. */
  busiest: 10,
  /** Characters of an id and of an error, of which more is cut off. */
  id: 256,
  text: 512,
  /** Types in one answer of a program, which serves no more services. */
  reports: 64,
  /** Buckets of durations. */
  buckets: 64
} as const

const Count = Schema.Number.pipe(Schema.nonNegative())
const Id = Schema.String.pipe(Schema.maxLength(actorLimits.id))
const Type = Schema.String.pipe(Schema.maxLength(64))

/** Without a type: of all. With an id: what is known of that actor. */
export const ActorQuestion = Schema.Struct({
  type: Schema.optional(Type),
  id: Schema.optional(Id)
})
export type ActorQuestion = typeof ActorQuestion.Type

/** Milliseconds since 1970, by the program's clock. */
const At = Schema.Number

export const ActorError = Schema.Struct({
  text: Schema.String.pipe(Schema.maxLength(actorLimits.text)),
  at: At
})
export type ActorError = typeof ActorError.Type

/** As Activation.ts has it. A later release may have others. */
const Phase = Schema.String.pipe(Schema.maxLength(32))

/** One actor that is in memory. */
export const ActivationReport = Schema.Struct({
  id: Id,
  shard: Schema.Int,
  phase: Phase,
  /** Messages that wait, that are being handled, and that have been since it came into memory. */
  waiting: Count,
  running: Count,
  handled: Count,
  /** When this life of it began, and when it last had something to do. */
  since: At,
  usedAt: At,
  /** Stays in memory when idle. */
  kept: Schema.Boolean,
  /** Of the save that it stands on: how often it was saved. 0: never, or it keeps nothing. */
  version: Count,
  lastError: Schema.NullOr(ActorError)
})
export type ActivationReport = typeof ActivationReport.Type

/** Of one type, in one program. */
export const ActorReport = Schema.Struct({
  type: Type,
  service: ServiceName,
  /** Key of the endpoint by which the type is called here. */
  key: Schema.String.pipe(Schema.maxLength(256)),
  guarantee: Schema.String.pipe(Schema.maxLength(32)),
  /** `owned`: by placement, as the program sees it. `open`: those that it runs. */
  shards: Schema.Struct({ owned: Count, open: Count, in: Count, out: Count }),
  activations: Count,
  /** Messages that wait in mailboxes: in all of them, and in the fullest. */
  waiting: Count,
  longest: Count,
  /** Each message that has come ended as one of these. */
  messages: Schema.Struct({
    ok: Count,
    failed: Count,
    died: Count,
    cancelled: Count,
    mailboxFull: Count,
    moved: Count,
    unavailable: Count
  }),
  saves: Schema.Struct({ ok: Count, failed: Count, fenced: Count }),
  crashes: Count,
  /** Messages that were told and taken, and not handled. Absent: a program of before this was told. */
  lost: Schema.optional(Count),
  /** States that their next hosts have, and those that these could not be given. Absent as above. */
  given: Schema.optional(Schema.Struct({ ok: Count, failed: Count })),
  /** Among which hosts its shards are placed (`Placed`). Absent as above. */
  placed: Schema.optional(Schema.String.pipe(Schema.maxLength(32))),
  /** Messages answered a second, over the last ten seconds. */
  rate: Count,
  /** From when a message came until it was answered: a count for each of `bounds` (ms) and one for what is above. */
  latency: Schema.Struct({
    bounds: Schema.Array(Schema.Number).pipe(Schema.maxItems(actorLimits.buckets)),
    counts: Schema.Array(Count).pipe(Schema.maxItems(actorLimits.buckets + 1)),
    sum: Count
  }),
  lastError: Schema.NullOr(ActorError),
  /** Where a type was asked for: those with the most messages that wait, or have been handled. */
  busiest: Schema.optional(
    Schema.Array(ActivationReport).pipe(Schema.maxItems(actorLimits.busiest))
  ),
  /** Where an id was asked for. */
  actor: Schema.optional(
    Schema.Struct({
      shard: Schema.Int,
      /** Key of the endpoint that placement gives it to, as the program sees it; null: there is none. */
      owner: Schema.NullOr(Schema.String.pipe(Schema.maxLength(256))),
      /** Null: it is not in the program's memory. */
      state: Schema.NullOr(ActivationReport)
    })
  )
})
export type ActorReport = typeof ActorReport.Type

/** All that a program says. */
export const ActorReports = Schema.Array(ActorReport).pipe(Schema.maxItems(actorLimits.reports))
export type ActorReports = typeof ActorReports.Type
