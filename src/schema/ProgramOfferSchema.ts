/** What a program asks its node to offer for it, and why a node does not: it crosses threads. */
import { Schema } from "effect"
import { ServiceName } from "./NamesSchema.ts"

/** One endpoint that a program serves by itself, without a port. */
export const ProgramOffer = Schema.Struct({
  service: ServiceName,
  /** Unique within the service on this node. */
  id: Schema.String,
  /** The node offers it under that very id: others call it by its key, and no other in its place. */
  named: Schema.optional(Schema.Boolean),
  /** Relative share of traffic, 1–1000. */
  weight: Schema.Int.pipe(Schema.between(1, 1_000)),
  healthy: Schema.Boolean,
  /** Why it is (not) healthy, for people. */
  reason: Schema.String
})
export type ProgramOffer = typeof ProgramOffer.Type

/** A service that this program cannot serve here. */
export class ServeRefused extends Schema.TaggedError<ServeRefused>()("ServeRefused", {
  /** Stable: what to match on. */
  code: Schema.Literal("not_granted", "not_http", "too_many", "no_plane_here"),
  message: Schema.String,
  service: ServiceName,
  /** Name of the node that said so. */
  node: Schema.String
}) {}
