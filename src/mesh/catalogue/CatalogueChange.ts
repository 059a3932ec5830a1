/** What is another in one catalogue than in an earlier one, by the kinds of records. */
import type { CatalogueEntry, FurtherEntry, NodeEntry, SettingEntry } from "./RecordEntry.ts"

/** One key in two catalogues; undefined: not in that one. */
export interface AnyChange {
  readonly before: CatalogueEntry | undefined
  readonly after: CatalogueEntry | undefined
}

/** One node's. */
export interface EntryChange {
  readonly before: NodeEntry | undefined
  readonly after: NodeEntry | undefined
}

export const nodeIn = (entry: CatalogueEntry | undefined): NodeEntry | undefined =>
  entry?.kind === "node" ? entry : undefined

/** One setting of one signer. */
export interface SettingChange {
  readonly before: SettingEntry | undefined
  readonly after: SettingEntry | undefined
}

export const settingIn = (entry: CatalogueEntry | undefined): SettingEntry | undefined =>
  entry?.kind === "setting" ? entry : undefined

export const furtherIn = (entry: CatalogueEntry | undefined): FurtherEntry | undefined =>
  entry?.kind === "further" ? entry : undefined

const only =
  <Entry>(pick: (entry: CatalogueEntry | undefined) => Entry | undefined) =>
  (changes: ReadonlyArray<AnyChange>) =>
    changes.flatMap(({ before, after }) => {
      const change = { before: pick(before), after: pick(after) }
      return change.before === undefined && change.after === undefined ? [] : [change]
    })

/** Those of nodes. */
export const nodeChanges: (changes: ReadonlyArray<AnyChange>) => ReadonlyArray<EntryChange> =
  only(nodeIn)

export const settingChanges: (changes: ReadonlyArray<AnyChange>) => ReadonlyArray<SettingChange> =
  only(settingIn)
