/**
 * The door of the catalogue: nothing is merged that did not pass here, whichever way it came
 * (gossip, anti-entropy, a notice, the disk, ourselves). Pure: the wall clock comes in as `now`.
 *
 * Records of who was thrown out do not get in. What it set before in the mesh stays, and what it said about
 * trust gets in whenever it was: what counts of that has to come out the same on every node, whatever was
 * heard first (Revocations.ts).
 *
 * Services that the signer's certificate does not grant, or that were taken from it, are left out of what this node sees, and
 * the rest of the record stands: when a grant shrinks at renewal, the node's other services must
 * not vanish with it. Every node reads the same certificate in the same envelope and so leaves
 * out the same.
 *
 * What newer nodes say is genuine when its signature is: records of kinds that are not known here
 * pass as far as they can be judged (FurtherRecord.ts), and of a node's record what is not known is
 * left out. One that cannot be read at all is no fault of whoever passed it on.
 */
import { Either } from "effect"
import type { PeerKey, ServiceName } from "../../model/Names.ts"
import { type NodeRecord, recordLimits } from "../../model/NodeRecord.ts"
import { encodeCbor } from "../trust/Cbor.ts"
import type { VerifiedCertificate } from "../trust/Certificate.ts"
import {
  EnvelopeCache,
  type OpenedEnvelope,
  openEnvelope,
  sealEnvelope
} from "../trust/Envelope.ts"
import { grantsService } from "../trust/Grant.ts"
import type { IdentityCell } from "../trust/NodeIdentity.ts"
import { describeRevocation, Revocations, type RevocationsCell } from "../trust/Revocations.ts"
import { decodeFurther, furtherKind } from "./FurtherRecord.ts"
import { duplicateIn, readNodeRecord } from "./NodeRecordReader.ts"
import { type CatalogueEntry, lifetimes, type NodeEntry, nodeEntry } from "./RecordEntry.ts"
import { RecordRefused, refuse, refusedEnvelope } from "./RecordRefused.ts"
import { inTime, maxAhead } from "./RecordTime.ts"
import { makeSettingDoor } from "./SettingDoor.ts"
import type { SettingReader } from "./SettingReader.ts"

/** What the envelope of a node record is signed as. */
export const recordKind = "node-record"

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
  /** Read at every record. Default: nobody is thrown out. */
  readonly revocations?: RevocationsCell | undefined
  /** Why this record counts no more: its node was forgotten. Read at every record. Default: none was. */
  readonly forgotten?: ((record: NodeRecord) => string | undefined) | undefined
  /** Told whose certificate a genuine record carried: a renewed one is seen here first. */
  readonly onCertificate?: (certificate: VerifiedCertificate) => void
  /** Told of every genuine record that clocks keep out. */
  readonly onUntimely?: (record: UntimelyRecord) => void
  /** Default: settings are not known here, and kept for those who know them. */
  readonly settings?: SettingReader
}

export interface RecordDoor {
  /** Wall clock `now`, ms. */
  readonly admit: (bytes: Uint8Array, now: number) => Either.Either<CatalogueEntry, RecordRefused>
  /**
   * For what this node holds already: it may be ahead of our clock by any time, since it is our clock
   * that may be behind. Everything else is judged as ever.
   */
  readonly recall: (bytes: Uint8Array, now: number) => Either.Either<CatalogueEntry, RecordRefused>
  /** Signs our own record with the current identity; it passes the same checks as what we hold. */
  readonly seal: (record: NodeRecord, now: number) => Either.Either<NodeEntry, RecordRefused>
}

/**
 * `identity` is read at every call, so that a renewed certificate is used at once.
 *
 * @internal its keys are of libp2p's types, which whoever has only the declarations lacks
 */
export const makeRecordDoor = (
  identity: IdentityCell,
  {
    cache = new EnvelopeCache(),
    revocations = { current: Revocations.none },
    forgotten = () => undefined,
    onCertificate = () => undefined,
    onUntimely = () => undefined,
    settings
  }: RecordDoorOptions = {}
): RecordDoor => {
  const openAs = (
    kind: string,
    bytes: Uint8Array,
    now: number,
    skew: number,
    evenWithdrawn = false
  ) =>
    openEnvelope(bytes, {
      roots: identity.current.roots,
      evenWithdrawn,
      now,
      kind,
      maxBytes: recordLimits.bytes,
      skew,
      // A node that was off over the weekend must still know the others when it starts.
      expiredGrace: lifetimes.tombstone,
      cache
    })
  const open = (bytes: Uint8Array, now: number, skew: number) =>
    openAs(recordKind, bytes, now, skew)
  const settingDoor = makeSettingDoor({
    ...{ identity, revocations, settings },
    openEnvelope: (bytes, now) => openAs(furtherKind, bytes, now, Number.POSITIVE_INFINITY, true)
  })

  /** Neither is the kind said beside the signature, nor is it believed before that was checked. */
  const judge = (
    bytes: Uint8Array,
    now: number,
    skew: number
  ): Either.Either<CatalogueEntry, RecordRefused> => {
    // What looks like a setting is tried as one first: each try costs a signature.
    const setting = settingDoor.judge(bytes, now, skew)
    if (setting !== undefined) return setting
    const opened = open(bytes, now, skew)
    if (Either.isRight(opened)) return judgeNode(opened.right, bytes, now, skew)
    if (opened.left.code === "bad_signature") {
      const further = openAs(furtherKind, bytes, now, skew)
      if (Either.isRight(further)) return judgeFurther(further.right, bytes, now, skew)
    }
    return Either.left(refusedEnvelope(opened.left))
  }

  const inGoodStanding = (certificate: VerifiedCertificate): Either.Either<void, RecordRefused> => {
    const out = revocations.current.outBy(certificate)
    // A node that was thrown out serves its own host as before.
    if (out !== undefined && certificate.peer !== identity.current.peer) {
      return refuse("revoked", describeRevocation(out))
    }
    onCertificate(certificate)
    return Either.void
  }

  const judgeFurther = (
    { peer, certificate, payload }: OpenedEnvelope,
    bytes: Uint8Array,
    now: number,
    skew: number
  ) =>
    Either.gen(function* () {
      const entry = yield* Either.mapLeft(
        decodeFurther(payload, bytes),
        (message) => new RecordRefused({ code: "unreadable", message })
      )
      if (entry.signer !== peer) {
        const message = `the record ${entry.key} is signed by ${peer}; only owners write their records`
        return yield* refuse("wrong_owner", message)
      }
      yield* inGoodStanding(certificate)
      yield* inTime(`the record ${entry.key}`, entry, certificate, now, skew)
      return entry
    })

  const judgeNode = (
    { peer, certificate, payload }: OpenedEnvelope,
    bytes: Uint8Array,
    now: number,
    skew: number
  ): Either.Either<NodeEntry, RecordRefused> =>
    Either.gen(function* () {
      yield* inGoodStanding(certificate)
      const record = yield* Either.mapLeft(
        readNodeRecord(payload),
        (message) => new RecordRefused({ code: "unreadable", message })
      )
      if (record.peer !== peer) {
        return yield* refuse(
          "wrong_owner",
          `the record is about ${record.peer} but signed by ${peer}; only owners write their records`
        )
      }
      // What this node says of itself it says anew when it was forgotten.
      const gone = peer === identity.current.peer ? undefined : forgotten(record)
      if (gone !== undefined) return yield* refuse("forgotten", gone)
      const duplicate = duplicateIn(record)
      if (duplicate !== undefined) {
        return yield* refuse("malformed", `the record of ${record.name} names ${duplicate} twice`)
      }
      const entry = granted(
        record,
        bytes,
        (service) =>
          grantsService(certificate, service) &&
          revocations.current.grant(peer, service) === undefined
      )
      yield* inTime(`the record of ${record.name}`, entry, certificate, now, skew)
      return entry
    })

  const recall: RecordDoor["recall"] = (bytes, now) => judge(bytes, now, Number.POSITIVE_INFINITY)

  /** What clocks kept out, when it is genuine. */
  const late = (
    bytes: Uint8Array,
    now: number,
    { code, message }: RecordRefused
  ): Either.Either<CatalogueEntry, RecordRefused> | undefined => {
    if (code !== "from_the_future" && code !== "too_old") return undefined
    const setting = settingDoor.open(bytes, now)
    if (setting !== undefined) {
      if (setting.peer === identity.current.peer) return recall(bytes, now)
      onUntimely({ peer: setting.peer, message })
      return undefined
    }
    const opened = open(bytes, now, Number.POSITIVE_INFINITY)
    if (Either.isLeft(opened)) return undefined
    const { peer, payload } = opened.right
    // Our own word is no matter of clocks: we have to go above it wherever we said it.
    if (peer === identity.current.peer) return recall(bytes, now)
    const record = Either.getOrUndefined(readNodeRecord(payload))
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
      const bytes = sealEnvelope(identity.current, recordKind, encodeCbor(record))
      return Either.flatMap(
        Either.mapLeft(open(bytes, now, Number.POSITIVE_INFINITY), refusedEnvelope),
        (opened) => judgeNode(opened, bytes, now, Number.POSITIVE_INFINITY)
      )
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
