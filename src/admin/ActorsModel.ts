/** What the admin API says of actors: asked of all hosts that run them, because somebody looks. */
import { Schema } from "effect"
import { ActivationReport, ActorError } from "../schema/ActorReportSchema.ts"
import { NodesAsked } from "./AccessModel.ts"

/** Absent: all types, without the names of actors. */
export const ActorsChoice = Schema.Struct({
  type: Schema.optional(Schema.String),
  id: Schema.optional(Schema.String)
})
export type ActorsChoice = typeof ActorsChoice.Type

/** From when a message came until it was answered, since the programs began; null: there was none. */
const durations = {
  p50Ms: Schema.NullOr(Schema.Number),
  p99Ms: Schema.NullOr(Schema.Number)
}

const numbers = {
  /** In memory. */
  activations: Schema.Number,
  /** Messages that wait: in all mailboxes, and in the fullest. */
  waiting: Schema.Number,
  longest: Schema.Number,
  /** Messages answered a second, over the last ten seconds. */
  rps: Schema.Number,
  /** How each message that has come has ended, since the programs began. */
  messages: Schema.Struct({
    ok: Schema.Number,
    failed: Schema.Number,
    died: Schema.Number,
    cancelled: Schema.Number,
    mailboxFull: Schema.Number,
    moved: Schema.Number,
    unavailable: Schema.Number
  }),
  /** Of `messages`: died, not available, and refused by a full mailbox. */
  errors: Schema.Number,
  saves: Schema.Struct({ ok: Schema.Number, failed: Schema.Number, fenced: Schema.Number }),
  crashes: Schema.Number,
  /** Messages that were told (`discard: true`) and taken, and not handled. Absent: a node of before this was told. */
  lost: Schema.optionalWith(Schema.Number, { default: () => 0 }),
  /** States that their next hosts have, and those that could not be given (`merge`). Absent as above. */
  given: Schema.optionalWith(Schema.Struct({ ok: Schema.Number, failed: Schema.Number }), {
    default: () => ({ ok: 0, failed: 0 })
  }),
  ...durations
}

/** A program that runs the type. */
export const ActorHostStatus = Schema.Struct({
  node: Schema.String,
  /** Null: the one that its node is in. */
  program: Schema.NullOr(Schema.String),
  endpoint: Schema.String,
  guarantee: Schema.String,
  /** `owned`: of 256, by placement as the program sees it; `open`: those it runs; `in`, `out`: have moved. */
  shards: Schema.Struct({
    owned: Schema.Number,
    open: Schema.Number,
    in: Schema.Number,
    out: Schema.Number
  }),
  ...numbers,
  lastError: Schema.NullOr(ActorError),
  /** Where a type is asked for. */
  busiest: Schema.Array(ActivationReport),
  /** Where an id is asked for: null, if the actor is not in this program's memory. */
  actor: Schema.NullOr(ActivationReport)
})
export type ActorHostStatus = typeof ActorHostStatus.Type

/** Where placement puts an actor, as those that run its type see it: one place, but while they differ. */
export const ActorPlace = Schema.Struct({
  node: Schema.String,
  endpoint: Schema.String,
  /** Nodes of the programs that say so. */
  by: Schema.Array(Schema.String)
})
export type ActorPlace = typeof ActorPlace.Type

export const ActorTypeStatus = Schema.Struct({
  type: Schema.String,
  service: Schema.String,
  /**
   * Among which hosts shards are placed: `mesh`, all of them; `zone` or `local`, those of each zone or each node by
   * themselves, of which there are so many (`circles`).
   */
  placed: Schema.optionalWith(Schema.String, { default: () => "mesh" }),
  circles: Schema.optionalWith(Schema.Number, { default: () => 1 }),
  /** Of 256: those that belong to one of the programs below. Of several circles, those of the one with the fewest. */
  shards: Schema.Number,
  ...numbers,
  lastError: Schema.NullOr(
    Schema.Struct({ text: Schema.String, at: Schema.Number, node: Schema.String })
  ),
  hosts: Schema.Array(ActorHostStatus),
  /** Where an id is asked for. */
  place: Schema.NullOr(
    Schema.Struct({ id: Schema.String, shard: Schema.Number, owners: Schema.Array(ActorPlace) })
  )
})
export type ActorTypeStatus = typeof ActorTypeStatus.Type

export const ActorsStatus = Schema.Struct({
  types: Schema.Array(ActorTypeStatus),
  /** `silent`: they run actors, and nothing of theirs is in this. */
  nodes: NodesAsked,
  /** Nodes that keep names of actors and errors from this one. */
  withheld: Schema.Array(Schema.String)
})
export type ActorsStatus = typeof ActorsStatus.Type
