/**
 * Orders what is written on hosts whose clocks differ (Kulkarni and others, 2014): the wall clock in ms,
 * never behind what was seen, and a counter within one ms. Pure.
 */
import type { SettingStamp } from "../../model/Setting.ts"

export type HybridTime = Pick<SettingStamp, "epoch" | "version">

/** Writes within one ms that a clock can tell apart; more of them, and it runs ahead by one. */
export const maxCount = 65_535

/** After all that was seen; `seen` undefined: nothing was. */
export const nextTime = (seen: HybridTime | undefined, wall: number): HybridTime => {
  if (seen === undefined || wall > seen.epoch) return { epoch: wall, version: 0 }
  return seen.version < maxCount
    ? { epoch: seen.epoch, version: seen.version + 1 }
    : { epoch: seen.epoch + 1, version: 0 }
}
