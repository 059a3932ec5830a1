/**
 * The catalogue as an actor: records that passed the door come in, the own record goes out, time
 * takes away what is over. Pure; signing is handed in as a function of the record, which Ed25519
 * is.
 */
import { Either } from "effect"
import type { PeerKey } from "../../model/Names.ts"
import { type Behaviour, type Moment, noActions } from "../actor/Behaviour.ts"
import type { Catalogue, MergeOutcome } from "./Catalogue.ts"
import {
  changeOwn,
  contestOwn,
  isEpochAstray,
  isResignDue,
  type OwnFacts,
  type OwnRecord,
  publishOwn,
  resignDueAt,
  resignOwn,
  restartEpoch
} from "./OwnRecord.ts"
import type { RecordDoor } from "./RecordDoor.ts"
import { type CatalogueEntry, type NodeEntry, nodeKey, type SettingEntry } from "./RecordEntry.ts"
import { type Bustle, gatherFor, heardNews, noBustle, takesAway } from "./RecordPace.ts"
import type { RecordRefused } from "./RecordRefused.ts"
import { maxAhead } from "./RecordTime.ts"

/** The envelope now in force, or why the change could not be signed. */
export type OwnReply = (published: Either.Either<NodeEntry, RecordRefused>) => void

/** Milliseconds between two searches for records that are over. */
const sweepEvery = 60_000

/** After a failed attempt to save, ms. */
const saveRetry = 5_000

/**
 * The disk is written no faster than this on average (bytes per second): after all of a large mesh was
 * written, what is known is a little older there, 16 s at 16 MiB.
 */
const savePace = 1024 * 1024

/** Callers of `updateOwn` that wait for the same record; beyond it the oldest hears nothing. */
const maxWaiting = 256

export interface CatalogueState {
  readonly catalogue: Catalogue
  readonly own: OwnRecord
  /** What others said of late, for the pace of our own. */
  readonly bustle: Bustle
  /** Those that changed the own record and wait for it to be out. */
  readonly waiting: ReadonlyArray<OwnReply>
  /** The catalogue as it is on disk, or as it is just being written; undefined: unknown. */
  readonly saved: Catalogue | undefined
  readonly saving: boolean
  /** Monotonic ms before which it is not written again. */
  readonly saveAt: number
  /** Monotonic ms of the next search for records that are over. */
  readonly sweepAt: number
  /** Records that found no room, since the start. */
  readonly refusedFull: number
  /** Those of kinds that this version does not know. */
  readonly furtherRefused: number
  readonly settingsRefused: number
}

export type CatalogueMessage =
  | {
      readonly _tag: "Received"
      readonly entry: CatalogueEntry
      readonly reply?: (outcome: MergeOutcome) => void
    }
  /** What is held is judged otherwise now: without some services or with them; undefined: thrown out. */
  | {
      readonly _tag: "Rejudged"
      readonly held: CatalogueEntry
      readonly entry: NodeEntry | undefined
    }
  | { readonly _tag: "OwnChanged"; readonly change: Partial<OwnFacts>; readonly reply: OwnReply }
  | { readonly _tag: "Resign" }
  | { readonly _tag: "PublishDue" }
  /** `bytes`: how many were written; default all of the catalogue. */
  | { readonly _tag: "Saved"; readonly failed: boolean; readonly bytes?: number }
  /** The files are gone. */
  | { readonly _tag: "Unsaved" }
  /** Once a second, where there is something to do (`tickDue`). */
  | { readonly _tag: "Tick" }

export type CatalogueAction =
  /** To everybody, by gossip. */
  | { readonly _tag: "Announce"; readonly entry: NodeEntry }
  /** Before anything is signed under it. */
  | { readonly _tag: "StoreEpoch"; readonly epoch: number }
  | { readonly _tag: "WakeIn"; readonly delay: number }
  /** `whole`: what the disk holds is unknown, so what changed is not enough. */
  | { readonly _tag: "Save"; readonly catalogue: Catalogue; readonly whole: boolean }
  | { readonly _tag: "Reply"; readonly reply: () => void }
  | { readonly _tag: "Warn"; readonly message: string }

type Step = readonly [CatalogueState, ReadonlyArray<CatalogueAction>]

export const makeCatalogueState = (catalogue: Catalogue, own: OwnRecord): CatalogueState => ({
  catalogue,
  own,
  bustle: noBustle,
  waiting: [],
  saved: catalogue,
  saving: false,
  saveAt: 0,
  sweepAt: 0,
  refusedFull: 0,
  furtherRefused: 0,
  settingsRefused: 0
})

/** After a crash: what was known stays known; a save under way was interrupted with the life. */
export const recoverCatalogue = (last: CatalogueState, { now }: Moment): Step => [
  { ...last, saving: false, saved: last.saving ? undefined : last.saved },
  last.own.dueAt === undefined
    ? noActions
    : [{ _tag: "WakeIn", delay: Math.max(0, last.own.dueAt - now) }]
]

/** Monotonic ms of the tick that finds something to do, if no clock is set: those before it change nothing. */
export const tickDue = ({
  catalogue,
  own,
  saveAt,
  saved,
  saving,
  sweepAt
}: CatalogueState): number => {
  const saves = saving || catalogue === saved ? Number.POSITIVE_INFINITY : saveAt
  return Math.min(sweepAt, resignDueAt(own), own.dueAt ?? Number.POSITIVE_INFINITY, saves)
}

/**
 * What other nodes say of this host's clock; `unknown` while nobody could be asked. Nothing is thrown
 * away by a clock that may be the wrong one.
 */
export type ClockVerdict = "right" | "wrong" | "unknown"

/** Of settings, those that need not be kept any more: they end by each other, and not by time alone. */
export type SettingsOver = (
  held: Iterable<SettingEntry>,
  wall: number
) => ReadonlySet<SettingEntry["setting"]>

const noneOver: SettingsOver = () => new Set()

const oneMoreRefused = (
  state: CatalogueState,
  { kind }: CatalogueEntry
): Partial<CatalogueState> => {
  switch (kind) {
    case "node":
      return { refusedFull: state.refusedFull + 1 }
    case "setting":
      return { settingsRefused: state.settingsRefused + 1 }
    case "further":
      return { furtherRefused: state.furtherRefused + 1 }
  }
}

export const catalogueBehaviour = (
  self: PeerKey,
  seal: RecordDoor["seal"],
  clock: () => ClockVerdict = () => "right",
  settingsOver: SettingsOver = noneOver
): Behaviour<CatalogueState, CatalogueMessage, CatalogueAction> => {
  const ownKey = nodeKey(self)

  const publish = (state: CatalogueState, moment: Moment): Step => {
    const { now, wall } = moment
    const [own, record] = publishOwn(state.own, self, now, wall)
    const replies = (published: Either.Either<NodeEntry, RecordRefused>) =>
      state.waiting.map(
        (reply): CatalogueAction => ({ _tag: "Reply", reply: () => reply(published) })
      )
    const sealed = seal(record, wall)
    if (Either.isLeft(sealed)) {
      // The version stays used; the facts stay wanted and are tried again with the next change.
      const message = `the own record cannot be published: ${sealed.left.message}`
      return [{ ...state, own, waiting: [] }, [{ _tag: "Warn", message }, ...replies(sealed)]]
    }
    const entry = sealed.right
    const [catalogue, outcome] = state.catalogue.merge(entry)
    if (outcome === "stale") {
      // Ours on disk is newer than our stored epoch: go above it at once.
      const held = state.catalogue.node(self) ?? entry
      return publish(
        { ...state, own: { ...own, epoch: held.epoch, version: held.version } },
        {
          now,
          wall,
          random: () => 0
        }
      )
    }
    const actions: Array<CatalogueAction> = []
    const before = state.catalogue.node(self)
    if (entry.epoch !== state.own.storedEpoch) {
      actions.push({ _tag: "StoreEpoch", epoch: entry.epoch })
    }
    const names = entry.withheld.join(", ")
    if (names !== "" && names !== before?.withheld.join(", ")) {
      const message = `the mesh will not see ${names}: this node's certificate does not grant it; ask for an invite with --services ${names}`
      actions.push({ _tag: "Warn", message })
    }
    actions.push({ _tag: "Announce", entry }, ...replies(sealed))
    return [{ ...state, catalogue, own, waiting: [] }, actions]
  }

  /** After the own record may have become due. */
  const continueWith = (state: CatalogueState, before: OwnRecord, moment: Moment): Step => {
    const dueAt = state.own.dueAt
    if (dueAt === undefined) return [state, noActions]
    if (dueAt <= moment.now) return publish(state, moment)
    if (dueAt === before.dueAt) return [state, noActions]
    return [state, [{ _tag: "WakeIn", delay: dueAt - moment.now }]]
  }

  const received = (
    state: CatalogueState,
    { entry, reply }: Extract<CatalogueMessage, { readonly _tag: "Received" }>,
    moment: Moment
  ): Step => {
    const [catalogue, outcome] = state.catalogue.merge(entry)
    const answer: ReadonlyArray<CatalogueAction> =
      reply === undefined ? noActions : [{ _tag: "Reply", reply: () => reply(outcome) }]
    if (outcome === "full") {
      return [{ ...state, ...oneMoreRefused(state, entry) }, answer]
    }
    if (catalogue === state.catalogue) return [state, answer]
    if (entry.key !== ownKey) {
      if (entry.kind !== "node") return [{ ...state, catalogue }, answer]
      const bustle = heardNews(state.bustle, moment.wall - entry.record.signedAt, moment.now)
      return [{ ...state, bustle, catalogue }, answer]
    }
    const own = contestOwn(state.own, entry, moment.now)
    const [next, actions] = continueWith({ ...state, catalogue, own }, state.own, moment)
    const contested: ReadonlyArray<CatalogueAction> =
      own.contested > state.own.contested && state.own.publishedAt !== undefined
        ? [
            {
              _tag: "Warn",
              message: `the mesh holds a record of this node that this process did not write (epoch ${entry.epoch}, version ${entry.version}): was its data directory copied to another host, or restored from a backup?`
            }
          ]
        : noActions
    return [next, [...answer, ...contested, ...actions]]
  }

  const rejudged = (
    state: CatalogueState,
    { entry, held }: Extract<CatalogueMessage, { readonly _tag: "Rejudged" }>
  ): CatalogueState => {
    // A newer one has been judged by what is known now.
    if (state.catalogue.get(held.key) !== held) return state
    const without = state.catalogue.without(held.key)
    return { ...state, catalogue: entry === undefined ? without : without.merge(entry)[0] }
  }

  /** Without what is over, and without what a clock far ahead signed and nobody could beat. */
  const sweep = (state: CatalogueState, { now, wall }: Moment): CatalogueState => {
    const verdict = clock()
    const settings = settingsOver(state.catalogue.settings(), wall)
    const isOver = (entry: CatalogueEntry) =>
      verdict !== "wrong" &&
      (entry.expiresAt <= wall || (entry.kind === "setting" && settings.has(entry.setting)))
    const isAhead = (entry: CatalogueEntry) => verdict === "right" && entry.epoch > wall + maxAhead
    const catalogue = state.catalogue.filter(
      (entry) => entry.key === ownKey || !(isOver(entry) || isAhead(entry))
    )
    return { ...state, catalogue, sweepAt: now + sweepEvery }
  }

  /** The clock is right again: others must not have to wait for the next sweep to believe us. */
  const setRight = (state: CatalogueState, { now, wall }: Moment): CatalogueState => {
    const { own } = state
    const isAstray = own.publishedAt !== undefined && isEpochAstray(own, wall)
    if (!isAstray || clock() !== "right") return state
    const catalogue = state.catalogue.filter(({ key }) => key !== ownKey)
    return { ...state, catalogue, own: restartEpoch(own, wall, now) }
  }

  const tick = (state: CatalogueState, moment: Moment): Step => {
    const { now } = moment
    const swept = setRight(now >= state.sweepAt ? sweep(state, moment) : state, moment)
    const signed = isResignDue(swept.own, now)
      ? { ...swept, own: resignOwn(swept.own, now) }
      : swept
    const [next, actions] = continueWith(signed, state.own, moment)
    if (next.saving || next.catalogue === next.saved || moment.now < next.saveAt) {
      return [next, actions]
    }
    return [
      { ...next, saving: true, saved: next.catalogue },
      [...actions, { _tag: "Save", catalogue: next.catalogue, whole: next.saved === undefined }]
    ]
  }

  return (state, message, moment) => {
    switch (message._tag) {
      case "Received":
        return received(state, message, moment)
      case "Rejudged":
        return [rejudged(state, message), noActions]
      case "OwnChanged": {
        const { change } = message
        const apart = takesAway(state.own.facts, change)
          ? 0
          : gatherFor(state.bustle, moment.now, moment.random())
        const own = changeOwn(state.own, change, moment.now, apart)
        const held = state.catalogue.node(self)
        if (own === state.own && own.dueAt === undefined && held !== undefined) {
          const reply = () => message.reply(Either.right(held))
          return [state, [{ _tag: "Reply", reply }]]
        }
        const waiting = [...state.waiting.slice(1 - maxWaiting), message.reply]
        return continueWith({ ...state, own, waiting }, state.own, moment)
      }
      case "Resign":
        return continueWith({ ...state, own: resignOwn(state.own, moment.now) }, state.own, moment)
      case "PublishDue":
        // A timer may fire a fraction early: then it is set again.
        return continueWith(state, { ...state.own, dueAt: undefined }, moment)
      case "Saved": {
        // After a failure nothing is known of the disk, so it is all written again, a little later.
        const { failed, bytes = state.saved?.bytes ?? 0 } = message
        const [saved, saveAt] = failed
          ? [undefined, moment.now + saveRetry]
          : [state.saved, moment.now + (1_000 * bytes) / savePace]
        return [{ ...state, saving: false, saved, saveAt }, noActions]
      }
      case "Unsaved":
        return [{ ...state, saved: undefined, saveAt: 0 }, noActions]
      case "Tick":
        return tick(state, moment)
    }
  }
}
