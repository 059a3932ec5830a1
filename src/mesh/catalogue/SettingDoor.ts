/**
 * The door of the catalogue for settings, which hold in the whole mesh: they are signed as records of a further
 * kind, so that nodes from before there were any keep them, and are good whenever that was.
 */
import { Either } from "effect"
import type { PeerKey } from "../../model/Names.ts"
import type { VerifiedCertificate } from "../trust/Certificate.ts"
import type { EnvelopeError, OpenedEnvelope } from "../trust/Envelope.ts"
import type { IdentityCell } from "../trust/NodeIdentity.ts"
import { describeRevocation, type RevocationsCell } from "../trust/Revocations.ts"
import { settingMark } from "../trust/RootStatement.ts"
import { mayBeSetting, type SettingEntry, settingEntry } from "./RecordEntry.ts"
import { RecordRefused, refuse } from "./RecordRefused.ts"
import { inTime, maxAhead } from "./RecordTime.ts"
import type { SettingReader } from "./SettingReader.ts"

export interface SettingDoorOptions {
  readonly identity: IdentityCell
  readonly revocations: RevocationsCell
  /** Undefined: settings are not known here, and nothing is one. */
  readonly settings: SettingReader | undefined
  /** Opens a record of a further kind, whenever it was signed and under whichever root of the mesh. */
  readonly openEnvelope: (
    bytes: Uint8Array,
    now: number
  ) => Either.Either<OpenedEnvelope, EnvelopeError>
}

export interface OpenedSetting {
  readonly peer: PeerKey
  readonly certificate: VerifiedCertificate
  readonly read: ReturnType<SettingReader["read"]>
}

/** Wall clock `now`, ms. Undefined: it is no setting that can be read here. */
export interface SettingDoor {
  readonly open: (bytes: Uint8Array, now: number) => OpenedSetting | undefined
  /** `skew`: how far it may be ahead of our clock, ms. */
  readonly judge: (
    bytes: Uint8Array,
    now: number,
    skew: number
  ) => Either.Either<SettingEntry, RecordRefused> | undefined
}

export const makeSettingDoor = ({
  identity,
  openEnvelope,
  revocations,
  settings
}: SettingDoorOptions): SettingDoor => {
  const open: SettingDoor["open"] = (bytes, now) => {
    if (settings === undefined || !mayBeSetting(bytes)) return undefined
    const { roots } = identity.current
    const opened = openEnvelope(bytes, now)
    if (Either.isLeft(opened)) return undefined
    const { certificate, payload, peer } = opened.right
    // When its signer's root counts no more it holds on if it was there as that was withdrawn.
    if (!roots.isInForce(certificate.root) && !roots.keeps(settingMark(bytes))) return undefined
    const read = settings.read(payload, certificate)
    return Either.isLeft(read) && read.left.code === "unreadable"
      ? undefined
      : { certificate, peer, read }
  }

  const judge: SettingDoor["judge"] = (bytes, now, skew) => {
    const opened = open(bytes, now)
    if (opened === undefined) return undefined
    const { certificate, peer, read } = opened
    return Either.gen(function* () {
      const setting = yield* Either.mapLeft(
        read,
        ({ code, message }) => new RecordRefused({ code, message })
      )
      const what = `${setting.kind} ${setting.name} of ${certificate.name}`
      if (setting.signer !== peer) {
        return yield* refuse("wrong_owner", `${what} stands under a key of ${setting.signer}`)
      }
      const entry = settingEntry(setting, bytes)
      yield* inTime(what, entry, certificate, now, skew)
      // Whoever holds an old key must not say something new with it.
      const lead = setting.epoch - setting.signedAt
      if (lead < 0 || lead > maxAhead || setting.signedAt < certificate.notBefore - maxAhead) {
        return yield* refuse("not_granted", `${what} was not signed when it says it was`)
      }
      const out = setting.kind === "trust" ? undefined : revocations.current.outBy(certificate)
      if (out !== undefined && setting.epoch >= out.epoch) {
        return yield* refuse("revoked", describeRevocation(out))
      }
      return entry
    })
  }
  return { open, judge }
}
