/**
 * The door of the catalogue: nothing is merged that did not pass here, whichever way it came
 * (gossip, anti-entropy, a notice, the disk, ourselves). Pure: the wall clock comes in as `now`.
 *
 * Services that the signer's certificate does not grant are left out of what this node sees, and
 * the rest of the record stands: when a grant shrinks at renewal, the node's other services must
 * not vanish with it. Every node reads the same certificate in the same envelope and so leaves
 * out the same.
 */
import { Data, Either, Schema } from "effect"
import type { PeerKey, ServiceName } from "../../model/Names.ts"
import { recordLimits } from "../../model/NodeRecord.ts"
import { explainInLine } from "../../schema/ExplainIssue.ts"
import { NodeRecord } from "../../schema/NodeRecordSchema.ts"
import { decodeCbor, encodeCbor } from "../trust/Cbor.ts"
import type { VerifiedCertificate } from "../trust/Certificate.ts"
import { EnvelopeCache, type EnvelopeError, openEnvelope, sealEnvelope } from "../trust/Envelope.ts"
import { grantsService } from "../trust/Grant.ts"
import type { IdentityCell } from "../trust/NodeIdentity.ts"
import { lifetimes, type NodeEntry, nodeEntry } from "./RecordEntry.ts"

/** What the envelope of a node record is signed as. */
export const recordKind = "node-record"

/**
 * How far ahead of our clock a record may claim to be, in milliseconds. A record from the far
 * future could not be beaten by its owner's later ones, and would never expire.
 */
export const maxAhead = 10 * 60_000

export class RecordRefused extends Data.TaggedError("RecordRefused")<{
  readonly code:
    | "forged"
    | "malformed"
    | "too_large"
    | "wrong_owner"
    /** Genuine but over: nobody's fault who passes it on. */
    | "too_old"
    /** One of the two clocks is wrong. */
    | "from_the_future"
    /** The catalogue's limit. */
    | "full"
  readonly message: string
}> {}

/** Does it speak against whoever passed it on? Time does not: clocks and delays differ. */
export const isBlameworthy = (refused: RecordRefused): boolean =>
  refused.code !== "too_old" && refused.code !== "from_the_future" && refused.code !== "full"

const refuse = (code: RecordRefused["code"], message: string) =>
  Either.left(new RecordRefused({ code, message }))

const fromEnvelopeError = ({ code, message }: EnvelopeError): RecordRefused => {
  switch (code) {
    case "expired":
      return new RecordRefused({ code: "too_old", message })
    case "not_yet_valid":
      return new RecordRefused({ code: "from_the_future", message })
    case "malformed":
    case "too_large":
      return new RecordRefused({ code, message })
    default:
      return new RecordRefused({ code: "forged", message })
  }
}

/** Fields that a later version added are ignored here, and stay in the signed bytes. */
const decodeRecord = (payload: Uint8Array): Either.Either<NodeRecord, RecordRefused> =>
  decodeCbor(Schema.Unknown, payload, "the record").pipe(
    Either.flatMap((value) =>
      Either.mapLeft(Schema.decodeUnknownEither(NodeRecord)(value), ({ issue }) => ({
        message: explainInLine(issue)
      }))
    ),
    Either.mapLeft(
      ({ message }) =>
        new RecordRefused({ code: "malformed", message: `the record cannot be read: ${message}` })
    )
  )

/** Two entries of one name in a list that must name each thing once. */
const duplicateOf = (names: ReadonlyArray<string>): string | undefined => {
  const seen = new Set<string>()
  return names.find((name) => seen.size === seen.add(name).size)
}

const duplicateIn = (record: NodeRecord): string | undefined => {
  const service = duplicateOf(record.services.map(({ name }) => name))
  if (service !== undefined) return `service ${service}`
  for (const { name, endpoints } of record.services) {
    const endpoint = duplicateOf(endpoints.map(({ id }) => id))
    if (endpoint !== undefined) return `endpoint ${endpoint} of service ${name}`
  }
  return undefined
}

/** A genuine record that was refused because one of two clocks is wrong. */
export interface UntimelyRecord {
  readonly peer: PeerKey
  readonly message: string
}

/** What ended this long ago, and no longer, may just still be on its way (ms). */
const passing = 3_600_000

export interface RecordDoorOptions {
  /** May be shared with the other readers of envelopes. */
  readonly cache?: EnvelopeCache
  /** Told whose certificate a genuine record carried: a renewed one is seen here first. */
  readonly onCertificate?: (certificate: VerifiedCertificate) => void
  /** Told of every genuine record that clocks keep out. */
  readonly onUntimely?: (record: UntimelyRecord) => void
}

export interface RecordDoor {
  /** Wall clock `now`, ms. */
  readonly admit: (bytes: Uint8Array, now: number) => Either.Either<NodeEntry, RecordRefused>
  /**
   * For what this node holds already: it may be ahead of our clock by any time, since it is our clock
   * that may be behind. Everything else is judged as ever.
   */
  readonly recall: (bytes: Uint8Array, now: number) => Either.Either<NodeEntry, RecordRefused>
  /** Signs our own record with the current identity; it passes the same checks as what we hold. */
  readonly seal: (record: NodeRecord, now: number) => Either.Either<NodeEntry, RecordRefused>
}

/** `identity` is read at every call, so that a renewed certificate is used at once. */
export const makeRecordDoor = (
  identity: IdentityCell,
  {
    cache = new EnvelopeCache(),
    onCertificate = () => undefined,
    onUntimely = () => undefined
  }: RecordDoorOptions = {}
): RecordDoor => {
  const open = (bytes: Uint8Array, now: number, skew: number) =>
    Either.mapLeft(
      openEnvelope(bytes, {
        root: identity.current.rootPublicKey,
        now,
        kind: recordKind,
        maxBytes: recordLimits.bytes,
        skew,
        // A node that was off over the weekend must still know the others when it starts.
        expiredGrace: lifetimes.tombstone,
        cache
      }),
      fromEnvelopeError
    )

  const judge = (bytes: Uint8Array, now: number, skew: number) =>
    Either.gen(function* () {
      const { peer, certificate, payload } = yield* open(bytes, now, skew)
      onCertificate(certificate)
      const record = yield* decodeRecord(payload)
      if (record.peer !== peer) {
        return yield* refuse(
          "wrong_owner",
          `the record is about ${record.peer} but signed by ${peer}; only owners write their records`
        )
      }
      const duplicate = duplicateIn(record)
      if (duplicate !== undefined) {
        return yield* refuse("malformed", `the record of ${record.name} names ${duplicate} twice`)
      }
      const ahead = Math.max(record.epoch, record.signedAt) - now
      if (ahead > skew) {
        return yield* refuse(
          "from_the_future",
          `the record of ${record.name} is ${Math.round(ahead / 60_000)} min ahead of this node's clock; check time synchronisation on both hosts`
        )
      }
      if (record.signedAt > certificate.notAfter + maxAhead) {
        return yield* refuse(
          "forged",
          `the record of ${record.name} was signed after its certificate had ended`
        )
      }
      const entry = granted(record, bytes, (service) => grantsService(certificate, service))
      if (entry.expiresAt <= now) {
        return yield* refuse(
          "too_old",
          `the record of ${record.name} was signed ${Math.round((now - record.signedAt) / 3_600_000)} h ago`
        )
      }
      return entry
    })

  const recall: RecordDoor["recall"] = (bytes, now) => judge(bytes, now, Number.POSITIVE_INFINITY)

  /** What clocks kept out, when it is genuine. */
  const late = (
    bytes: Uint8Array,
    now: number,
    { code, message }: RecordRefused
  ): Either.Either<NodeEntry, RecordRefused> | undefined => {
    if (code !== "from_the_future" && code !== "too_old") return undefined
    const opened = open(bytes, now, Number.POSITIVE_INFINITY)
    if (Either.isLeft(opened)) return undefined
    const { peer, payload } = opened.right
    // Our own word is no matter of clocks: we have to go above it wherever we said it.
    if (peer === identity.current.peer) return recall(bytes, now)
    const record = Either.getOrUndefined(decodeRecord(payload))
    if (record === undefined) return undefined
    const isPassing = now - (record.signedAt + lifetimes.tombstone) < passing
    if (code === "from_the_future" || !isPassing) onUntimely({ peer, message })
    return undefined
  }

  const admit: RecordDoor["admit"] = (bytes, now) => {
    const judged = judge(bytes, now, maxAhead)
    return Either.isRight(judged) ? judged : (late(bytes, now, judged.left) ?? judged)
  }
  return {
    admit,
    recall,
    seal: (record, now) => {
      const payload = encodeCbor(record)
      return recall(sealEnvelope(identity.current, recordKind, payload), now)
    }
  }
}

const granted = (
  record: NodeRecord,
  bytes: Uint8Array,
  isGranted: (service: ServiceName) => boolean
): NodeEntry => {
  const withheld = record.services.map(({ name }) => name).filter((name) => !isGranted(name))
  if (withheld.length === 0) return nodeEntry(record, withheld, bytes)
  const services = record.services.filter(({ name }) => isGranted(name))
  return nodeEntry({ ...record, services }, withheld, bytes)
}
