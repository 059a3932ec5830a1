/**
 * Whose word a setting is: the signer's certificate, as it was when it signed, must grant the capability that
 * its kind asks for. A certificate that ended since does not take back what was set in its time.
 */
import { Either } from "effect"
import type { Setting } from "../../model/Setting.ts"
import type { VerifiedCertificate } from "../trust/Certificate.ts"
import { type Capability, grantsCapability } from "../trust/Grant.ts"
import { readSetting } from "./SettingRecord.ts"
import { type HeldSetting, overIn, settingLifetimes } from "./SettledName.ts"

export interface SettingRefused {
  readonly code: "unreadable" | "not_granted"
  readonly message: string
}

export class SettingJudge {
  readonly #capabilitiesFor: (kind: string) => ReadonlyArray<Capability>

  /** `capabilitiesFor`: one of them is asked for. */
  constructor(capabilitiesFor: (kind: string) => ReadonlyArray<Capability>) {
    this.#capabilitiesFor = capabilitiesFor
  }

  /** `certificate`: of the envelope, whose signature is good. */
  readonly read = (
    payload: Uint8Array,
    certificate: VerifiedCertificate
  ): Either.Either<Setting, SettingRefused> =>
    Either.flatMap(
      Either.mapLeft(
        readSetting(payload),
        (message): SettingRefused => ({ code: "unreadable", message })
      ),
      (setting) => {
        const capabilities = this.#capabilitiesFor(setting.kind)
        if (capabilities.some((one) => grantsCapability(certificate, one))) {
          return Either.right(setting)
        }
        const message = `${setting.kind} ${setting.name} was set by ${certificate.name}, whose certificate does not grant the capability ${capabilities.join(" or ")}`
        return Either.left<SettingRefused>({ code: "not_granted", message })
      }
    )

  /** Those that need not be kept any more, of all names. */
  readonly over = (held: Iterable<HeldSetting>, wall: number): ReadonlySet<Setting> => {
    const all = Array.from(held)
    const isOld = ({ setting }: HeldSetting) =>
      setting.signedAt + settingLifetimes.superseded <= wall
    if (!all.some(isOld)) return new Set()
    const names = new Map<string, Array<HeldSetting>>()
    for (const one of all) {
      const key = `${one.setting.kind}.${one.setting.name}`
      const group = names.get(key)
      if (group === undefined) names.set(key, [one])
      else group.push(one)
    }
    return new Set(Array.from(names.values()).flatMap((group) => overIn(group, wall)))
  }
}
