/**
 * What the catalogue keeps for newer nodes has room of its own, so that it takes none of what this
 * node can read, and each signer has a share of it, so that nobody fills it alone. So have settings, of
 * which one signer may hold all: whoever may write them may delete them, too. Immutable.
 */
import type { PeerKey } from "../../model/Names.ts"
import { settingLimits } from "../../model/Setting.ts"
import type { FurtherEntry, SettingEntry } from "./RecordEntry.ts"

export interface Room {
  /** Keys. */
  readonly records: number
  /** Of all envelopes. */
  readonly bytes: number
}

export interface FurtherLimits extends Room {
  readonly perSigner: Room
}

export const furtherLimits: FurtherLimits = {
  records: 4_096,
  bytes: 16 * 1024 * 1024,
  perSigner: { records: 256, bytes: 2 * 1024 * 1024 }
}

const settingRoom: Room = { records: settingLimits.records, bytes: settingLimits.bytes }

export const settingsRoom: FurtherLimits = { ...settingRoom, perSigner: settingRoom }

/** What is kept by its signer. */
type Signed = FurtherEntry | SettingEntry

const none: Room = { records: 0, bytes: 0 }

const changed = (room: Room, before: Signed | undefined, after: Signed | undefined): Room => ({
  records: room.records + Number(after !== undefined) - Number(before !== undefined),
  bytes: room.bytes + (after?.bytes.length ?? 0) - (before?.bytes.length ?? 0)
})

const isWithin = (room: Room, limits: Room): boolean =>
  room.records <= limits.records && room.bytes <= limits.bytes

export class FurtherTally {
  readonly limits: FurtherLimits
  readonly all: Room
  readonly #bySigner: ReadonlyMap<PeerKey, Room>

  private constructor(limits: FurtherLimits, all: Room, bySigner: ReadonlyMap<PeerKey, Room>) {
    this.limits = limits
    this.all = all
    this.#bySigner = bySigner
  }

  static none(limits: FurtherLimits): FurtherTally {
    return new FurtherTally(limits, none, new Map())
  }

  /** One key's record in place of another, or of none. */
  with(before: Signed | undefined, after: Signed | undefined): FurtherTally {
    const signer = (after ?? before)?.signer
    if (signer === undefined) return this
    const bySigner = new Map(this.#bySigner)
    const held = changed(bySigner.get(signer) ?? none, before, after)
    if (held.records === 0) bySigner.delete(signer)
    else bySigner.set(signer, held)
    return new FurtherTally(this.limits, changed(this.all, before, after), bySigner)
  }

  /** May it be taken in place of what its key has? */
  hasRoom(before: Signed | undefined, after: Signed): boolean {
    const held = this.#bySigner.get(after.signer) ?? none
    return (
      isWithin(changed(held, before, after), this.limits.perSigner) &&
      isWithin(changed(this.all, before, after), this.limits)
    )
  }

  /** Is there any for another key of this signer? */
  isOpen(signer: PeerKey): boolean {
    const held = this.#bySigner.get(signer) ?? none
    const one = (room: Room): Room => ({ records: room.records + 1, bytes: room.bytes })
    return isWithin(one(held), this.limits.perSigner) && isWithin(one(this.all), this.limits)
  }
}
