/** The next version of a setting, after all that this node has seen. Pure; it is signed elsewhere. */
import type { NodeName, PeerKey } from "../../model/Names.ts"
import {
  compareStamps,
  type Setting,
  type SettingBody,
  type SettingStamp,
  type SettingVersion,
  settingLimits
} from "../../model/Setting.ts"
import { encodeCbor } from "../trust/Cbor.ts"
import { type HybridTime, nextTime } from "./HybridClock.ts"
import { stampOf } from "./SettingRecord.ts"
import { type HeldSetting, historyOf } from "./SettledName.ts"

export interface SettingDraft {
  readonly kind: string
  readonly name: string
  /** Undefined deletes it. */
  readonly body: SettingBody | undefined
  readonly author: string
  readonly why: string | undefined
}

export interface DraftMoment {
  readonly signer: PeerKey
  readonly node: NodeName
  /** Wall clock, ms. */
  readonly wall: number
  /** The greatest of all settings that were seen, whatever their names. */
  readonly seen: HybridTime | undefined
}

/** `held`: what there is of that name. */
export const draftSetting = (
  { kind, name, body, author, why }: SettingDraft,
  held: ReadonlyArray<HeldSetting>,
  { signer, node, wall, seen }: DraftMoment
): Setting => ({
  ...{ kind, name, signer, ...nextTime(seen, wall) },
  ...{ signedAt: wall, author: author.slice(0, settingLimits.author), node },
  why: why?.slice(0, settingLimits.why),
  body,
  replaces: seenIn(held),
  past: pastOf(held)
})

/** The latest of each signer, of those that are held and those that their writers had seen. */
const seenIn = (held: ReadonlyArray<HeldSetting>): ReadonlyArray<SettingStamp> => {
  const latest = new Map<PeerKey, SettingStamp>()
  for (const { setting } of held) {
    for (const stamp of [setting, ...setting.replaces]) {
      const known = latest.get(stamp.signer)
      if (known === undefined || compareStamps(stamp, known) > 0) {
        latest.set(stamp.signer, stampOf(stamp))
      }
    }
  }
  const newest = Array.from(latest.values()).sort((a, b) => compareStamps(b, a))
  return newest.slice(0, settingLimits.replaces)
}

/** As much of the history as there is room for; a large one is left out, not what is before it. */
const pastOf = (held: ReadonlyArray<HeldSetting>): ReadonlyArray<SettingVersion> => {
  const past: Array<SettingVersion> = []
  let bytes = 0
  for (const version of historyOf(held)) {
    if (past.length === settingLimits.past) break
    const { signedAt, author, node, why, body } = version
    const plain = { ...stampOf(version), signedAt, author, node, why, body }
    const size = encodeCbor(plain).length
    if (bytes + size > settingLimits.pastBytes) continue
    bytes += size
    past.push(plain)
  }
  return past
}
