/** How the nodes of the mesh stand to this one, as Schemas: what `skein peers` shows. */
import { Schema } from "effect"
import { NodeName, PeerKey } from "../schema/NamesSchema.ts"
import { MemberStatus } from "./MemberModel.ts"

const Count = Schema.Int.pipe(Schema.nonNegative())
const Amount = Schema.NullOr(Schema.Number)

export const PeerStatus = Schema.Struct({
  node: NodeName,
  peer: PeerKey,
  self: Schema.Boolean,
  /**
   * `synced`: both catalogues were equal when it was asked, or within the last minute. `syncing`: they
   * differ, and what differs is on its way. `stale`: they differ, and neither side changes that.
   * `unreachable`: it is dead, or did not answer. `unknown`: it was not asked, see `detail`.
   */
  sync: Schema.Literal("synced", "syncing", "stale", "unreachable", "unknown"),
  /** Why it is not synced, and what is not known. */
  detail: Schema.NullOr(Schema.String),
  /** As membership says. */
  state: MemberStatus.fields.state,
  draining: Schema.Boolean,
  /** There is a connection of the mesh threads. */
  connected: Schema.Boolean,
  /** `late`: its loop was late by 500 ms or more within the last 10 to 20 s. `busy`: messages wait for its actors, or it has no time for a handshake. */
  load: Schema.NullOr(Schema.Literal("ok", "late", "busy")),
  /** The most that its mesh thread was late within the last 10 to 20 s. */
  lateMs: Amount,
  /** 0 (healthy) to 8: how far it doubts its own judgement of others. */
  doubt: Amount,
  /** Messages that wait for its actors. */
  waiting: Amount,
  /** As it says itself when asked, else as its record does. */
  software: Schema.NullOr(Schema.String),
  /** Its record as held here. */
  record: Schema.NullOr(Schema.Struct({ epoch: Count, version: Count, signedAt: Schema.Number })),
  /** It says that it has told a newer record than that: its epoch and version. */
  newer: Schema.NullOr(Schema.Struct({ epoch: Schema.Int, version: Schema.Int })),
  /** Since both catalogues were last compared, whoever asked. */
  comparedMs: Amount,
  /** Since both were last seen to be equal. */
  equalMs: Amount,
  /** Round trip of the last ping on the link. */
  rttMs: Amount,
  /** How long it took to answer. */
  answerMs: Amount
})
export type PeerStatus = typeof PeerStatus.Type

/** Whom to ask: those that are connected, or all, for which connections are made, but to the dead. */
export const PeersChoice = Schema.Struct({ all: Schema.optional(Schema.BooleanFromString) })
