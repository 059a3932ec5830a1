/**
 * What holds under one name, of what each signer wrote there. Pure, and the same on every node that holds the
 * same: it asks for nothing but the versions themselves, in no order.
 */
import { isDeepStrictEqual } from "node:util"
import {
  compareStamps,
  type Setting,
  type SettingStamp,
  type SettingVersion
} from "../../model/Setting.ts"

/** As it is held: `hash` of the envelope decides between two that claim the same time. */
export interface HeldSetting {
  readonly setting: Setting
  readonly hash: Uint8Array
}

export interface SettledName {
  readonly kind: string
  readonly name: string
  /** The greatest. Without a body the name is deleted. */
  readonly inForce: Setting
  /** Written apart from it, not the same, and superseded by nobody; newest first. */
  readonly conflict: ReadonlyArray<Setting>
}

const day = 86_400_000

export const settingLifetimes = {
  /** What was superseded is kept after the version that did it, ms. */
  superseded: 30 * day,
  /** A deletion outlives all that it stands against, wherever that was hidden; ms. */
  deleted: 32 * day
} as const

/** The merge rule: positive when `a` is in force before `b`. */
export const compareHeld = (a: HeldSetting, b: HeldSetting): number =>
  compareStamps(a.setting, b.setting) || Buffer.compare(a.hash, b.hash)

/** Had the writer of `later` seen it, itself or through what it had seen? */
export const supersedes = (later: Setting, earlier: SettingStamp): boolean =>
  later.replaces.some(
    (stamp) => stamp.signer === earlier.signer && compareStamps(stamp, earlier) >= 0
  )

const saysTheSame = (a: Setting, b: Setting): boolean => isDeepStrictEqual(a.body, b.body)

/** `held`: of one name, one for each signer; not empty. */
export const settle = (held: ReadonlyArray<HeldSetting>): SettledName => {
  const settings = held.toSorted((a, b) => compareHeld(b, a)).map(({ setting }) => setting)
  const [inForce, ...others] = settings
  if (inForce === undefined) throw new Error("a name that nobody wrote is not there")
  const conflict = others.filter(
    (other) =>
      !saysTheSame(other, inForce) && !settings.some((setting) => supersedes(setting, other))
  )
  return { kind: inForce.kind, name: inForce.name, inForce, conflict }
}

/** All versions that are known of one name, newest first. */
export const historyOf = (held: ReadonlyArray<HeldSetting>): ReadonlyArray<SettingVersion> => {
  const versions = new Map<string, SettingVersion>()
  // What the signer itself says now of a version goes before what others remember of it.
  for (const { setting } of held) for (const past of setting.past) versions.set(nameOf(past), past)
  for (const { setting } of held) versions.set(nameOf(setting), setting)
  return Array.from(versions.values()).sort(
    (a, b) => compareStamps(b, a) || (a.signer < b.signer ? 1 : -1)
  )
}

const nameOf = ({ signer, epoch, version }: SettingStamp) => `${signer} ${epoch} ${version}`

/**
 * Those of one name that need not be kept any more: what the version in force stands against, after its
 * time, and a deletion that stands against nothing any more. Never one side of a conflict.
 */
export const overIn = (held: ReadonlyArray<HeldSetting>, wall: number): ReadonlyArray<Setting> => {
  const [first, second] = held
  // Most names are of one signer, who says something.
  if (second === undefined && first?.setting.body !== undefined) return []
  const { inForce } = settle(held)
  if (inForce.signedAt + settingLifetimes.superseded > wall) return []
  const over = held.flatMap(({ setting }) => (supersedes(inForce, setting) ? [setting] : []))
  const isForgotten = inForce.body === undefined && over.length === held.length - 1
  return isForgotten && inForce.signedAt + settingLifetimes.deleted <= wall
    ? [...over, inForce]
    : over
}
