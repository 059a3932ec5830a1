/**
 * Every question one node asks another, as one typed group. Spoken over a stream of its own
 * between admitted peers. Signed things travel as the bytes that were signed, so that a relaying
 * node can neither change nor need to understand them.
 *
 * Nodes of several versions ask each other: fields that one does not know are ignored, in questions
 * and in answers, a question that it does not know is answered `invalid`, and a field that a later
 * version adds is optional to it.
 */
import * as Rpc from "@effect/rpc/Rpc"
import * as RpcGroup from "@effect/rpc/RpcGroup"
import { Schema } from "effect"
import { ActorQuestion, ActorReport } from "../../schema/ActorReportSchema.ts"
import { PeerKey, ServiceName } from "../../schema/NamesSchema.ts"
import { contributionBytes } from "../trust/SessionSecret.ts"

const Code = Schema.Literal("refused", "unavailable", "invalid")
const isCode = Schema.is(Code)

/** A reason that a later version added: what was asked for was not possible, and may be later. */
const AnyCode = Schema.transform(Schema.String.pipe(Schema.maxLength(64)), Code, {
  strict: true,
  decode: (code) => (isCode(code) ? code : "unavailable"),
  encode: (code) => code
})

/** Refused or not possible right now; the code is stable, the message is for people. */
export class MeshRpcError extends Schema.TaggedError<MeshRpcError>()("MeshRpcError", {
  code: AnyCode,
  message: Schema.String
}) {}

const Bytes = Schema.Uint8ArrayFromSelf
const Hash = Schema.Uint8ArrayFromSelf.pipe(Schema.filter((bytes) => bytes.length === 16))

/** What one side contributes to a session. */
const Contribution = Schema.Uint8ArrayFromSelf.pipe(
  Schema.filter((bytes) => bytes.length === contributionBytes)
)

/** Which version of which record a catalogue holds. */
export const RecordVersion = Schema.Struct({
  key: Schema.String.pipe(Schema.maxLength(256)),
  epoch: Schema.Int,
  version: Schema.Int,
  /** Of the envelope: tells apart two that claim the same version. */
  hash: Hash,
  /**
   * It is not held: the record up to this version is of an ephemeral node that is dead, as the answering node
   * found out or heard. Older ones ask for it, and get nothing.
   */
  gone: Schema.optional(Schema.Boolean)
})
export type RecordVersion = typeof RecordVersion.Type

/** How a node fares, as it says itself. */
export const PeerFigures = Schema.Struct({
  /** Version of its program. */
  software: Schema.String.pipe(Schema.maxLength(64)),
  /** Of the newest record of itself; version -1: it has told none yet. */
  epoch: Schema.Int,
  version: Schema.Int,
  /** The most that its mesh thread was late within the last 10 to 20 s, ms. */
  lateMs: Schema.Number.pipe(Schema.nonNegative()),
  /** 0 (healthy) to 8: how far it doubts its own judgement of others. */
  doubt: Schema.Number.pipe(Schema.nonNegative()),
  /** Messages that wait for its actors. */
  waiting: Schema.Number.pipe(Schema.nonNegative())
})
export type PeerFigures = typeof PeerFigures.Type

const Count = Schema.Int.pipe(Schema.nonNegative())
const Text = Schema.String.pipe(Schema.maxLength(16_384))

/** What was called of a service in audit: the caller, and its path as a template. */
export const PeerTraffic = Schema.Struct({
  caller: Schema.String.pipe(Schema.maxLength(512)),
  service: ServiceName,
  /** Absent: a tunnel, or TCP. */
  method: Schema.optional(Text),
  /** Null: any one segment. */
  path: Schema.optional(Schema.Array(Schema.NullOr(Text)).pipe(Schema.maxItems(16))),
  /** A call of gRPC. */
  grpc: Schema.optional(Schema.Literal(true)),
  calls: Count
})
export type PeerTraffic = typeof PeerTraffic.Type

/** How the access rules were met at a node, over its threads. The busiest first. */
export const PeerAccessUse = Schema.Struct({
  rules: Schema.Array(
    Schema.Struct({ rule: Schema.String.pipe(Schema.maxLength(256)), calls: Count })
  ).pipe(Schema.maxItems(4_096)),
  traffic: Schema.Array(PeerTraffic).pipe(Schema.maxItems(1_024)),
  /** Calls of services in audit that are in none of the rows. */
  left: Count
})
export type PeerAccessUse = typeof PeerAccessUse.Type

/** How the actors of a host's programs fare. */
export const PeerActors = Schema.Struct({
  reports: Schema.Array(
    Schema.Struct({
      /** What it is called; null: the one that the node is in. */
      program: Schema.NullOr(Schema.String.pipe(Schema.maxLength(64))),
      report: ActorReport
    })
  ).pipe(Schema.maxItems(1_024)),
  /** Programs that say nothing of the actors that they offer. */
  silent: Schema.Array(
    Schema.Struct({
      program: Schema.NullOr(Schema.String.pipe(Schema.maxLength(64))),
      reason: Schema.String.pipe(Schema.maxLength(256))
    })
  ).pipe(Schema.maxItems(256)),
  /** Reports that there was no room for. */
  left: Count,
  /** It names no actors and tells no errors to who asks. */
  withheld: Schema.Boolean
})
export type PeerActors = typeof PeerActors.Type

export class MeshRpc extends RpcGroup.make(
  /** Anti-entropy, first question: are our catalogues the same? `buckets` when not. */
  Rpc.make("CatalogueDigest", {
    payload: { root: Hash },
    success: Schema.Struct({ same: Schema.Boolean, buckets: Schema.Array(Hash) }),
    error: MeshRpcError
  }),
  /** Second: what is in the buckets that differ? At most 16 at a time keep the answer small. */
  Rpc.make("CatalogueBuckets", {
    payload: { buckets: Schema.Array(Schema.Int).pipe(Schema.maxItems(16)) },
    success: Schema.Array(RecordVersion),
    error: MeshRpcError
  }),
  /**
   * Third: give me these (at most 64), and take these that you lack. Envelopes, signed. The answer
   * may hold fewer than wanted, to stay within bounds; who still lacks some asks again.
   */
  Rpc.make("CatalogueExchange", {
    payload: {
      wanted: Schema.Array(Schema.String).pipe(Schema.maxItems(64)),
      offered: Schema.Array(Bytes).pipe(Schema.maxItems(64))
    },
    success: Schema.Array(Bytes),
    error: MeshRpcError
  }),
  /** Can you reach this member right now? Asked by an observer before it suspects. */
  Rpc.make("Probe", {
    payload: { peer: PeerKey },
    success: Schema.Struct({ reachable: Schema.Boolean }),
    error: MeshRpcError
  }),
  /** What members said of those that are not simply alive: signed statements, at most 256. */
  Rpc.make("MembershipEvidence", {
    payload: {
      /** Only of these; none: of all. Older ones answer of all, whoever is named. */
      about: Schema.optional(Schema.Array(PeerKey).pipe(Schema.maxItems(64)))
    },
    success: Schema.Array(Bytes).pipe(Schema.maxItems(256)),
    error: MeshRpcError
  }),
  /** A new certificate for the peer that asks: same key, same or fewer rights, new dates. */
  Rpc.make("RenewCertificate", {
    payload: {},
    /** A certificate chain, and a delegation where there is one: what `acceptRenewal` takes. */
    success: Bytes,
    error: MeshRpcError
  }),
  /**
   * A new session from the secrets of both (SessionSecret.ts): links are made from it from now on.
   * The connection has proved who speaks, and nobody else reads it.
   */
  Rpc.make("NewSession", {
    payload: { secret: Contribution },
    success: Schema.Struct({ secret: Contribution }),
    error: MeshRpcError
  }),
  /**
   * Can you reach me at this address, one of those my record announces? The answer is no more than
   * that: whoever could announce other people's addresses learns nothing of what is there.
   */
  Rpc.make("DialBack", {
    payload: { address: Schema.String.pipe(Schema.maxLength(256)) },
    success: Schema.Struct({ reached: Schema.Boolean }),
    error: MeshRpcError
  }),
  /**
   * How do you fare? Asked for people who look (`skein peers`), by no loop: the answer is numbers that
   * are at hand. Nodes from before this was asked answer `invalid`.
   */
  Rpc.make("PeerStatus", { payload: {}, success: PeerFigures, error: MeshRpcError }),
  /**
   * How are the access rules met at your programs? Asked for people who look (`skein access lint`,
   * `suggest`). `traffic`: what was called of services in audit too (of `service` alone, if it is there),
   * which is told to holders of `policy`: whoever may write rules. At most 256 KiB.
   */
  Rpc.make("AccessUse", {
    payload: { traffic: Schema.Boolean, service: Schema.optional(ServiceName) },
    success: PeerAccessUse,
    error: MeshRpcError
  }),
  /**
   * How do the actors of your programs fare? Asked for people who look (`skein actors`). Actors and their errors
   * are named to holders of `policy` and to nodes that may offer the type themselves. At most 256 KiB.
   */
  Rpc.make("ActorStatus", {
    payload: ActorQuestion.fields,
    success: PeerActors,
    error: MeshRpcError
  }),
  /** The caller is about to take nothing new; the reply means: I have stopped sending you work. */
  Rpc.make("DrainNotice", {
    payload: { envelope: Bytes },
    success: Schema.Void,
    error: MeshRpcError
  })
) {}
