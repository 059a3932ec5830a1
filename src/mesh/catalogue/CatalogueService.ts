/**
 * The catalogue as the rest of the node meets it: a snapshot to read, the own record to change,
 * answers for other nodes, and the loops that keep it in step with theirs.
 */
import { Effect, type Either, Runtime, type Scope } from "effect"
import type { NodeName, PeerKey } from "../../model/Names.ts"
import type { NodeRecord } from "../../model/NodeRecord.ts"
import { spawn, tellSurely } from "../actor/Actor.ts"
import type { Supervisor } from "../actor/Supervisor.ts"
import type { TickTimers } from "../actor/Ticking.ts"
import { Gossip } from "../host/Gossip.ts"
import type { MeshRpcError, RecordVersion } from "../host/MeshRpc.ts"
import { type Conduct, noConduct } from "../trust/PeerConduct.ts"
import { answerDigest, answerVersions, answerWanted, type SyncReport } from "./AntiEntropy.ts"
import type { Catalogue, MergeOutcome } from "./Catalogue.ts"
import {
  type CatalogueAction,
  type CatalogueMessage,
  type CatalogueState,
  type ClockVerdict,
  catalogueBehaviour,
  makeCatalogueState,
  recoverCatalogue,
  type SettingsOver,
  tickDue
} from "./CatalogueBehaviour.ts"
import {
  type EntryChange,
  nodeChanges,
  type SettingChange,
  settingChanges
} from "./CatalogueChange.ts"
import { loadCatalogue, storedChanges } from "./CatalogueLoading.ts"
import { CatalogueStore } from "./CatalogueStore.ts"
import { type CatalogueSyncOptions, makeCatalogueSync } from "./CatalogueSync.ts"
import { makeOwnRecord, nextEpoch, type OwnFacts, resignOwn } from "./OwnRecord.ts"
import type { RecordDoor } from "./RecordDoor.ts"
import { lifetimes, type NodeEntry } from "./RecordEntry.ts"
import { actorBehind, actorPatience, RecordIntake, type RecordWay } from "./RecordIntake.ts"
import type { RecordRefused } from "./RecordRefused.ts"
import { rejudge } from "./Rejudging.ts"

export interface CatalogueOptions extends CatalogueSyncOptions {
  readonly name: NodeName
  readonly zone?: string | undefined
  /** Default: false. */
  readonly ephemeral?: boolean | undefined
  /** Version of the program, for people. */
  readonly software: string
  readonly door: RecordDoor
  /** By whose timers it looks whether there is something to do. Default: the clock of its fibers. */
  readonly ticker?: TickTimers | undefined
  /** What others say of this host's clock. Default: that it is right. */
  readonly clock?: (() => ClockVerdict) | undefined
  /** Which settings need not be kept any more. Default: all are kept. */
  readonly settingsOver?: SettingsOver | undefined
  /** Default: nobody is counted. */
  readonly conduct?: Conduct | undefined
  /** Hears of each record of another node that was not held here, and how it came. */
  readonly onFirstSeen?: ((record: NodeRecord, way: RecordWay) => void) | undefined
}

export interface CatalogueStatus {
  readonly records: number
  readonly bytes: number
  /**
   * Records of kinds that this version does not know, kept for those that do, and how many found no
   * room, since the start.
   */
  readonly further: { readonly records: number; readonly refusedFull: number }
  /** Mesh-wide settings: each signer's of each name. */
  readonly settings: {
    readonly records: number
    readonly bytes: number
    readonly refusedFull: number
  }
  /** Records that found no room, since the start. */
  readonly refusedFull: number
  /** How often others held a record of ours that this process did not write. */
  readonly contested: number
  readonly epoch: number
  readonly version: number
}

export interface CatalogueShape {
  /** The current snapshot: one property load. */
  readonly current: () => Catalogue
  /**
   * Called synchronously with each new snapshot, and what makes it of the one before; answers how to
   * stop.
   */
  readonly subscribe: (
    listener: (catalogue: Catalogue, changes: ReadonlyArray<EntryChange>) => void
  ) => () => void
  /** The same for mesh-wide settings. */
  readonly subscribeSettings: (
    listener: (changes: ReadonlyArray<SettingChange>) => void
  ) => () => void
  /**
   * Changes the own record and tells the mesh. Done when the signed record is in the catalogue and
   * handed to gossip; nothing is told before the first call. Fails when it cannot be signed or is
   * over the limits of a record.
   */
  readonly updateOwn: (change: Partial<OwnFacts>) => Effect.Effect<NodeEntry, RecordRefused>
  /** Signs the own record anew: the certificate was renewed. */
  readonly resign: Effect.Effect<void>
  /** What was on disk is lost: it is written again within a second or two. */
  readonly saveAgain: Effect.Effect<void>
  /** A record that came on its own, e.g. with a drain notice: verified and merged when done. */
  readonly receive: (bytes: Uint8Array) => Effect.Effect<MergeOutcome, RecordRefused>
  /** What `receive` would answer now; nothing is taken in. */
  readonly foresee: (bytes: Uint8Array) => Effect.Effect<MergeOutcome, RecordRefused>
  /** One that this node signed beside its own record: the same, and told to everybody by gossip. */
  readonly announce: (bytes: Uint8Array) => Effect.Effect<MergeOutcome, RecordRefused>
  /**
   * Judges what is held anew, these nodes first: somebody was thrown out, or is back, or has other
   * services. What is refused now is gone when this is done. Those that are back say so themselves.
   */
  readonly rejudge: (first: ReadonlyArray<PeerKey>) => Effect.Effect<void>
  /** Compares with this node now; one comparison per node at a time, two in all. */
  readonly syncWith: (peer: PeerKey) => Effect.Effect<SyncReport, MeshRpcError>
  /** Where a node can be dialled, most useful first; empty when unknown or gone for good. */
  readonly addressesOf: (peer: PeerKey) => ReadonlyArray<string>
  readonly status: () => CatalogueStatus
  /** Answers to the questions of the same names in MeshRpc. */
  readonly handlers: {
    readonly CatalogueDigest: (payload: { readonly root: Uint8Array }) => Effect.Effect<{
      readonly same: boolean
      readonly buckets: ReadonlyArray<Uint8Array>
    }>
    readonly CatalogueBuckets: (payload: {
      readonly buckets: ReadonlyArray<number>
    }) => Effect.Effect<ReadonlyArray<RecordVersion>>
    readonly CatalogueExchange: (payload: {
      readonly wanted: ReadonlyArray<string>
      readonly offered: ReadonlyArray<Uint8Array>
    }) => Effect.Effect<ReadonlyArray<Uint8Array>>
  }
}

/** Messages of the actor that may wait. Gossip beyond it is repaired by anti-entropy. */
const mailboxCapacity = 4_096

/** Milliseconds. */
const tickEvery = 1_000

/** Of so many ticks that find nothing to do one comes, to see whether this host's clock was set. */
const quietTick = 5

export const makeCatalogue = (
  options: CatalogueOptions
): Effect.Effect<CatalogueShape, never, Scope.Scope | Supervisor | Gossip | CatalogueStore> =>
  Effect.gen(function* () {
    const { self, door, ephemeral = false, name, zone, software } = options
    const gossip = yield* Gossip
    const store = yield* CatalogueStore
    const clock = yield* Effect.clock
    const runtime = yield* Effect.runtime()
    const scope = yield* Effect.scope
    const runFork = <A, E>(effect: Effect.Effect<A, E>) =>
      Runtime.runFork(runtime)(effect, { scope })

    const saveEpoch = (epoch: number) =>
      store.saveEpoch(epoch).pipe(
        // The store has told it. Without it a later start with a clock set back needs one round to
        // go above this one.
        Effect.catchAll((error) => Effect.logDebug(error.message))
      )
    const epoch = nextEpoch(yield* store.loadEpoch, clock.unsafeCurrentTimeMillis())
    yield* saveEpoch(epoch)

    const facts: OwnFacts = {
      name,
      ...(zone === undefined ? {} : { zone }),
      ...(ephemeral && { ephemeral, lifetime: lifetimes.ephemeral }),
      software,
      addresses: [],
      services: [],
      state: "serving"
    }
    let state = makeCatalogueState(yield* loadCatalogue(door), makeOwnRecord(facts, epoch))

    const listeners = new Set<Parameters<CatalogueShape["subscribe"]>[0]>()
    const settingListeners = new Set<Parameters<CatalogueShape["subscribeSettings"]>[0]>()
    // A listener's bug is its own: the catalogue and the other listeners go on.
    const contained = (run: () => void) => {
      try {
        run()
      } catch (cause) {
        runFork(Effect.logError("a listener of the catalogue failed", cause))
      }
    }
    const publish = (next: CatalogueState) => {
      const changes = next.catalogue.allChangesSince(state.catalogue)
      state = next
      if (changes.length === 0) return
      const [nodes, settings] = [nodeChanges(changes), settingChanges(changes)]
      if (nodes.length > 0) {
        for (const listener of listeners) contained(() => listener(next.catalogue, nodes))
      }
      if (settings.length > 0) {
        for (const listener of settingListeners) contained(() => listener(settings))
      }
    }

    /** What the disk holds. */
    let stored = state.catalogue
    /** Answers how many bytes were written. */
    const saveNow = (catalogue: Catalogue, whole: boolean) =>
      store
        .save(
          () => Array.from(catalogue.all(), ({ bytes }) => bytes),
          whole ? undefined : storedChanges(catalogue.allChangesSince(stored))
        )
        .pipe(
          Effect.tap(() =>
            Effect.sync(() => {
              stored = catalogue
            })
          )
        )

    // Registered before the actor, so it runs after the actor has stopped.
    yield* Effect.addFinalizer(() =>
      state.catalogue === state.saved && !state.saving
        ? Effect.void
        : Effect.catchAll(saveNow(state.catalogue, state.saved === undefined), (error) =>
            Effect.logDebug(error.message)
          )
    )

    const actor = yield* spawn<CatalogueState, CatalogueMessage, CatalogueAction, never, never>({
      name: "catalogue",
      mailbox: { capacity: mailboxCapacity, overflow: "reject" },
      // From scratch is what the disk holds, so that nobody's services are gone for longer than a
      // moment. What this node offers is said again, above every version that was used.
      initial: (moment) =>
        recoverCatalogue(makeCatalogueState(stored, resignOwn(state.own, moment.now)), moment),
      recover: recoverCatalogue,
      step: catalogueBehaviour(self, door.seal, options.clock, options.settingsOver),
      ticks: [
        {
          every: tickEvery,
          message: () => ({ _tag: "Tick" }),
          seldom: { dueAt: tickDue, atLeast: quietTick * tickEvery }
        }
      ],
      ticker: options.ticker,
      publish,
      interpret: (action, context) => {
        switch (action._tag) {
          case "Announce":
            return context.fork(gossip.publish("catalogue", action.entry.bytes))
          case "StoreEpoch":
            return saveEpoch(action.epoch)
          case "WakeIn":
            return context.fork(
              Effect.zipRight(
                Effect.sleep(action.delay),
                Effect.sync(() => context.self.tell({ _tag: "PublishDue" }))
              )
            )
          case "Save":
            return context.fork(
              saveNow(action.catalogue, action.whole).pipe(
                Effect.map((bytes) => ({ failed: false, bytes })),
                Effect.catchAll((error) =>
                  Effect.as(Effect.logDebug(error.message), { failed: true })
                ),
                Effect.flatMap((saved) => tellSurely(context.self, { _tag: "Saved", ...saved }))
              )
            )
          case "Reply":
            action.reply()
            return undefined
          case "Warn":
            return Effect.logWarning(action.message)
        }
      }
    })

    const intake = new RecordIntake({
      ...{ self, door, actor, clock, onFirstSeen: options.onFirstSeen },
      conduct: options.conduct ?? noConduct,
      current: () => state.catalogue,
      tellOn: (bytes) => runFork(gossip.publish("catalogue", bytes)),
      spread: () => spread()
    })
    yield* gossip.subscribe("catalogue", intake.judge)

    const { spread, syncWith } = yield* makeCatalogueSync(options, {
      current: () => state.catalogue,
      receive: (envelopes) => intake.receiveAll(envelopes)
    })

    return {
      current: () => state.catalogue,
      subscribe: (listener) => {
        listeners.add(listener)
        return () => {
          listeners.delete(listener)
        }
      },
      subscribeSettings: (listener) => {
        settingListeners.add(listener)
        return () => {
          settingListeners.delete(listener)
        }
      },
      updateOwn: (change) =>
        actor
          .ask<Either.Either<NodeEntry, RecordRefused>>(
            (reply) => ({ _tag: "OwnChanged", change, reply }),
            actorPatience
          )
          .pipe(
            Effect.mapError(({ message }) => actorBehind(message)),
            Effect.flatten
          ),
      resign: Effect.sync(() => void actor.tell({ _tag: "Resign" })),
      saveAgain: Effect.suspend(() => {
        actor.tell({ _tag: "Unsaved" })
        return saveEpoch(state.own.epoch)
      }),
      receive: (bytes) => intake.receive(bytes),
      foresee: (bytes) => intake.foresee(bytes),
      announce: (bytes) =>
        Effect.tap(intake.receive(bytes), (outcome) =>
          outcome === "added" || outcome === "replaced"
            ? gossip.publish("catalogue", bytes)
            : Effect.void
        ),
      rejudge: (first) => rejudge(first, { door, actor, clock, current: () => state.catalogue }),
      syncWith,
      addressesOf: (peer) => {
        const record = state.catalogue.node(peer)?.record
        return record === undefined || record.state === "left" ? [] : record.addresses
      },
      status: () => {
        const { catalogue, own, refusedFull, furtherRefused, settingsRefused } = state
        return {
          records: catalogue.size,
          bytes: catalogue.bytes,
          further: { records: catalogue.further.records, refusedFull: furtherRefused },
          settings: { ...catalogue.settingsHeld, refusedFull: settingsRefused },
          refusedFull,
          contested: own.contested,
          epoch: own.epoch,
          version: own.version
        }
      },
      handlers: {
        CatalogueDigest: ({ root }) => Effect.sync(() => answerDigest(state.catalogue, root)),
        CatalogueBuckets: ({ buckets }) =>
          Effect.sync(() => answerVersions(state.catalogue, buckets, options.gone?.())),
        CatalogueExchange: ({ wanted, offered }) =>
          Effect.zipRight(
            intake.receiveAll(offered),
            Effect.sync(() => answerWanted(state.catalogue, wanted))
          )
      }
    }
  })
