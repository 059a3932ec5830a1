/**
 * The settings of the mesh, as they follow from the catalogue: what is in force under each name, and what
 * contradicts it. A change costs its own name, and the list of its kind. Pure apart from its memory.
 */
import type { PeerKey } from "../../model/Names.ts"
import {
  compareStamps,
  type Setting,
  type SettingInForce,
  type SettingsView,
  type SettingVersion
} from "../../model/Setting.ts"
import type { HybridTime } from "./HybridClock.ts"
import { type HeldSetting, historyOf, type SettledName, settle } from "./SettledName.ts"

/** One key of the catalogue before and after; undefined: not there. */
export interface HeldChange {
  readonly before: HeldSetting | undefined
  readonly after: HeldSetting | undefined
}

type Group = Map<PeerKey, HeldSetting>

export class SettingsTable {
  /** By kind and name, then by signer. */
  readonly #groups = new Map<string, Group>()
  readonly #settled = new Map<string, SettledName>()
  #view: SettingsView = new Map()
  #seen: HybridTime | undefined

  /** The same value until something changes. */
  get view(): SettingsView {
    return this.#view
  }

  /** The greatest time of all that were ever here. */
  get seen(): HybridTime | undefined {
    return this.#seen
  }

  /** Takes in what changed in the catalogue; answers of which kinds something else holds now. */
  follow(changes: Iterable<HeldChange>): ReadonlySet<string> {
    const touched = new Map<string, Setting>()
    for (const { before, after } of changes) {
      const setting = (after ?? before)?.setting
      if (setting === undefined) continue
      const key = keyOf(setting)
      const group: Group = this.#groups.get(key) ?? new Map()
      if (after === undefined) group.delete(setting.signer)
      else group.set(setting.signer, after)
      if (group.size === 0) this.#groups.delete(key)
      else this.#groups.set(key, group)
      if (this.#seen === undefined || compareStamps(setting, this.#seen) > 0) {
        this.#seen = { epoch: setting.epoch, version: setting.version }
      }
      touched.set(key, setting)
    }
    return this.#settle(touched.values())
  }

  /** What the signers wrote of it. */
  held(kind: string, name: string): ReadonlyArray<HeldSetting> {
    const group = this.#groups.get(keyOf({ kind, name }))
    return Array.from(group?.values() ?? [])
  }

  settled(kind: string, name: string): SettledName | undefined {
    return this.#settled.get(keyOf({ kind, name }))
  }

  /** Also what was deleted, by kind and name. */
  all(): ReadonlyArray<SettledName> {
    return Array.from(this.#settled.keys())
      .sort()
      .map((key) => this.#settled.get(key)!)
  }

  /** Those of which two holders said different things apart. */
  conflicts(): ReadonlyArray<SettledName> {
    return this.all().filter(({ conflict }) => conflict.length > 0)
  }

  history(kind: string, name: string): ReadonlyArray<SettingVersion> {
    return historyOf(this.held(kind, name))
  }

  #settle(touched: Iterable<Pick<Setting, "kind" | "name">>): ReadonlySet<string> {
    const kinds = new Map<string, Map<string, SettingInForce>>()
    for (const { kind, name } of touched) {
      const key = keyOf({ kind, name })
      const held = this.held(kind, name)
      const names = kinds.get(kind) ?? new Map(this.#view.get(kind))
      kinds.set(kind, names)
      names.delete(name)
      this.#settled.delete(key)
      if (held.length === 0) continue
      const settled = settle(held)
      this.#settled.set(key, settled)
      const { body } = settled.inForce
      if (body !== undefined) names.set(name, inForceOf(settled, body))
    }
    if (kinds.size === 0) return new Set()
    const view = new Map(this.#view)
    for (const [kind, names] of kinds) {
      if (names.size === 0) view.delete(kind)
      else view.set(kind, names)
    }
    this.#view = view
    return new Set(kinds.keys())
  }
}

const keyOf = ({ kind, name }: Pick<Setting, "kind" | "name">): string => `${kind}.${name}`

const inForceOf = (
  { kind, name, inForce, conflict }: SettledName,
  body: SettingInForce["body"]
): SettingInForce => {
  const { signer, epoch, version, signedAt, author, node, why } = inForce
  return {
    ...{ kind, name, signer, epoch, version, signedAt, author, node, why, body },
    conflict: conflict.map(versionOf)
  }
}

/** Without what it says of others. */
export const versionOf = (setting: SettingVersion): SettingVersion => {
  const { signer, epoch, version, signedAt, author, node, why, body } = setting
  return { signer, epoch, version, signedAt, author, node, why, body }
}
