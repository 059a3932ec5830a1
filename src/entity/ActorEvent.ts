/** What becomes of an actor, for who watches it. */
import * as Rpc from "@effect/rpc/Rpc"
import { Schema } from "effect"
import { propsOf } from "./ActorProtocol.ts"

/** It is watched from here on: by the host that it belongs to. The first one, and again after each move. */
const Watching = Schema.TaggedStruct("Watching", {
  host: Schema.String,
  /** It is in memory. */
  running: Schema.Boolean
})

/** It has come into memory, or has begun again after a crash. */
const Started = Schema.TaggedStruct("Started", { host: Schema.String })

/** It has left memory: with nothing to do, or because its shard goes elsewhere. The next message begins it. */
const Stopped = Schema.TaggedStruct("Stopped", {
  host: Schema.String,
  reason: Schema.Literal("idle", "moved")
})

/** It begins again after so many milliseconds; `failed`: it has crashed too often, and rests until its next message then. */
const Crashed = Schema.TaggedStruct("Crashed", {
  host: Schema.String,
  message: Schema.String,
  after: Schema.Number,
  failed: Schema.Boolean
})

/** It belongs to another host, which is watched next. Absent: there is none that is known. */
const Moved = Schema.TaggedStruct("Moved", {
  from: Schema.String,
  to: Schema.optionalWith(Schema.String, { exact: true })
})

/** More has happened than there was room for: so many events are missing before the next one. */
const Missed = Schema.TaggedStruct("Missed", { count: Schema.Int })

/** Nothing more is heard of its host: the last one. Whether the actor runs is not known. */
const Lost = Schema.TaggedStruct("Lost", { host: Schema.String, message: Schema.String })

export const ActorEvent = Schema.Union(
  Watching,
  Started,
  Stopped,
  Crashed,
  Moved,
  Missed,
  Lost
).annotations({ identifier: "ActorEvent" })

export type ActorEvent = typeof ActorEvent.Type

/** How it is asked for: no message of an actor has a name like it. */
export const watchRpc = propsOf(Rpc.make(".watch", { success: ActorEvent, stream: true }))
