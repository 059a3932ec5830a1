/** What a node says of the access rules it holds: what `skein access` shows. */
import { Schema } from "effect"
import { AccessRule } from "../schema/AccessSchema.ts"
import { ServiceName } from "../schema/NamesSchema.ts"

const Count = Schema.Int.pipe(Schema.nonNegative())

/** A rule as it is written. */
export const RuleWritten = Schema.encodedSchema(AccessRule)

/** A call that is not made: may it be? */
export const AccessQuestion = Schema.Struct({
  /** `orders`, `host/ops-1`, `spiffe://MESH/service/orders`. */
  from: Schema.String,
  to: ServiceName,
  /** Absent: a tunnel, or TCP. */
  method: Schema.optional(Schema.String),
  path: Schema.optional(Schema.String),
  /** The node that it comes from, by name. Absent: of that of a host, itself; else one that no rule names. */
  host: Schema.optional(Schema.String),
  /** Where the program listens. Absent: nobody knows. */
  port: Schema.optional(Schema.NumberFromString)
})
export type AccessQuestion = typeof AccessQuestion.Type

/** A rule that is about this caller and this service. */
export const AccessRuleRow = Schema.Struct({
  rule: Schema.String,
  list: Schema.Literal("allow", "deny"),
  mode: Schema.Literal("enforce", "audit"),
  written: RuleWritten
})
export type AccessRuleRow = typeof AccessRuleRow.Type

export const AccessAnswer = Schema.Struct({
  /** Who would call: as rules and programs name it, and its SPIFFE ID. */
  caller: Schema.Struct({ name: Schema.String, id: Schema.String }),
  decision: Schema.Literal("allow", "deny", "would_deny"),
  /**
   * The rule; `default`, `unmatched` or `ambiguous` without one; null: there are none at all, or the node that
   * it comes from may not speak for the caller, and none is asked.
   */
  rule: Schema.NullOr(Schema.String),
  /** For people. */
  why: Schema.String,
  /** What makes it worth less than it looks: no such caller, node or service is known. Older nodes say none. */
  notes: Schema.optionalWith(Schema.Array(Schema.String), { default: () => [] }),
  rules: Schema.Array(AccessRuleRow)
})
export type AccessAnswer = typeof AccessAnswer.Type

export const AccessFinding = Schema.Struct({
  kind: Schema.Literal("shadowed", "unreachable", "unused", "closed", "unknown"),
  /** The rule, or the setting. */
  rule: Schema.String,
  message: Schema.String
})
export type AccessFinding = typeof AccessFinding.Type

/** Which nodes have said how rules are met at them: each node counts what it decides. */
export const NodesAsked = Schema.Struct({
  /** By name, the node asked by the command among them if it offers what is asked about. */
  answered: Schema.Array(Schema.String),
  /** They offer it too, and what they have counted is not in this. */
  silent: Schema.Array(Schema.Struct({ node: Schema.String, reason: Schema.String }))
})
export type NodesAsked = typeof NodesAsked.Type

export const AccessFindings = Schema.Struct({
  findings: Schema.Array(AccessFinding),
  nodes: NodesAsked
})
export type AccessFindings = typeof AccessFindings.Type

/** Absent: of all services that are in audit. */
export const SuggestionChoice = Schema.Struct({ service: Schema.optional(ServiceName) })

export const AccessSuggestion = Schema.Struct({
  service: ServiceName,
  /** The setting to put it into: that by which the service is in audit. */
  name: Schema.String,
  /** The busiest first. */
  rules: Schema.Array(Schema.Struct({ rule: RuleWritten, calls: Count }))
})
export const AccessSuggestions = Schema.Struct({
  nodes: NodesAsked,
  suggestions: Schema.Array(AccessSuggestion),
  /** Calls that there was no room to remember, or whose path no rule can be about. */
  left: Count
})
export type AccessSuggestions = typeof AccessSuggestions.Type
