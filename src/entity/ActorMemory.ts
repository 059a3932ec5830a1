/**
 * What one actor has in the store, and what of it is to be saved next: its state, the answers it has given
 * under keys, its reminders. Nothing is read before somebody asks for it, so an actor without any of them
 * never meets the store.
 */
import { randomUUID } from "node:crypto"
import { Effect, type Exit } from "effect"
import type { ActorAddress } from "./ActorAddress.ts"
import type { ActorUnavailable } from "./ActorError.ts"
import type { Handed, HandedState, Merged } from "./HandedState.ts"
import type { Message } from "./Message.ts"
import type {
  ActorStoreShape,
  DueReminder,
  ActorAddress as KeptAddress,
  KeptKey,
  Lease,
  LoadedActor,
  ReminderPut,
  Save,
  StoredState
} from "./store/ActorStore.ts"
import { KeyWindow } from "./store/KeyWindow.ts"
import { Fenced, type LoadError, type SaveError } from "./store/StoreError.ts"

/** The state, as whoever holds it shows it. */
export interface StateCell {
  /** Larger with each change. */
  readonly revision: number
  readonly encode: () => StoredState
  /** Of an actor that was never saved. */
  readonly blank?: () => StoredState
  /** Makes one of it and another state of the same actor; undefined: its program does not say how. */
  readonly merge?: ((theirs: StoredState) => Effect.Effect<void, unknown>) | undefined
}

/** What the memories of a type's actors have in common. */
export interface MemoryHost {
  readonly store: Pick<ActorStoreShape, "load" | "save">
  /** As whom its actor is in the store; undefined: by its address. */
  readonly keptAs: KeptAddress | undefined
  /** Under which actors of the shard save, if there is one; undefined: they need none (`eventual`). */
  readonly leaseOf: ((shard: number) => Lease | undefined) | undefined
  /** Milliseconds by a clock that never jumps. */
  readonly monotonic: () => number
  /** There is something to be reminded of. */
  readonly onReminder: () => void
}

/** Whose memory it is, and who carries out what is to be saved outside of a message. */
export interface Saver {
  readonly address: ActorAddress
  readonly saved: (
    memory: ActorMemory,
    then: (failure: ActorUnavailable | undefined) => void
  ) => void
}

/** Kept under the key of a state that was handed over: by who gives it, and by who has merged it. */
const given = new Uint8Array([1])
const merged = new Uint8Array([2])

/** As they were loaded, until one is asked for. */
interface LoadedKeys {
  readonly keys: ReadonlyArray<KeptKey>
  readonly at: number
}

/** Changes beside the state that the next save has, if there are any. */
interface Unsaved {
  /** By name; undefined: it is cancelled. */
  reminders: Map<string, ReminderPut | undefined> | undefined
  dealtWith: Array<Pick<DueReminder, "due" | "name">> | undefined
  keys: { readonly put: Array<KeptKey>; readonly drop: Array<string> } | undefined
}

export class ActorMemory {
  readonly #host: MemoryHost
  readonly #saver: Saver
  #version = 0
  #isLoaded = false
  #cell: StateCell | undefined
  #savedRevision = 0
  #unsaved: Unsaved | undefined
  /** Undefined: there are none. */
  #keys: KeyWindow | LoadedKeys | undefined
  #forgotten = false
  #handed: string | undefined
  /** Its actor was begun under it, so under no other is anything of it saved. */
  readonly #lease: Lease | undefined

  constructor(host: MemoryHost, saver: Saver) {
    this.#host = host
    this.#saver = saver
    this.#lease = host.leaseOf?.(this.actor.shard.index)
  }

  /** As whom it is in the store. */
  get actor(): KeptAddress {
    const { entityId, entityType, shardId } = this.#saver.address
    return this.#host.keptAs ?? { shard: { type: entityType, index: shardId }, id: entityId }
  }

  /** Of the save that it stands on; 0: never saved, or not read. */
  get version(): number {
    return this.#version
  }

  /** Saves what has changed outside of a message, or must not wait for its end. */
  get saveNow(): Effect.Effect<void, ActorUnavailable> {
    return Effect.async((resume) =>
      this.#saver.saved(this, (failure) => resume(failure ?? Effect.void))
    )
  }

  /** From the store, before anything else is asked of it. */
  get loaded(): Effect.Effect<LoadedActor, LoadError> {
    return Effect.suspend(() =>
      Effect.map(this.#host.store.load(this.actor), (loaded) => {
        // Another message has asked at the same time, and may have saved since.
        if (this.#isLoaded) return loaded
        this.#isLoaded = true
        this.#version = loaded.version
        const { keys } = loaded
        if (keys.length > 0) this.#keys = { keys, at: this.#host.monotonic() }
        return loaded
      })
    )
  }

  /** The same, unless it was already. */
  get ready(): Effect.Effect<void, LoadError> {
    return Effect.suspend(() => (this.#isLoaded ? Effect.void : Effect.asVoid(this.loaded)))
  }

  get #window(): KeyWindow {
    const known = this.#keys
    if (known instanceof KeyWindow) return known
    const window = new KeyWindow(known?.keys ?? [], known?.at ?? 0)
    this.#keys = window
    return window
  }

  /** From now on this is the state that is saved. */
  hold(cell: StateCell): void {
    this.#cell = cell
    this.#savedRevision = cell.revision
  }

  get holdsState(): boolean {
    return this.#cell !== undefined
  }

  get dirty(): boolean {
    if (this.#forgotten) return false
    return (
      (this.#cell !== undefined && this.#cell.revision !== this.#savedRevision) ||
      this.#unsaved !== undefined
    )
  }

  /** A message has been handled. True: its answer has to wait for a save. */
  ends({ reminder }: Message, _: Exit.Exit<unknown, unknown>): boolean {
    if (reminder !== undefined) {
      const unsaved = this.#changed
      unsaved.dealtWith ??= []
      unsaved.dealtWith.push(reminder)
    }
    return this.dirty
  }

  /** What was answered under that key, once it is loaded; undefined: nothing yet. */
  answerTo(key: string): Uint8Array | undefined {
    return this.#keys === undefined ? undefined : this.#window.find(key, this.#host.monotonic())
  }

  /** With the next save, which is that of the message it answers. */
  answered(key: string, result: Uint8Array): void {
    const { drop, put } = this.#window.add(key, result, this.#host.monotonic())
    const unsaved = this.#changed
    unsaved.keys ??= { put: [], drop: [] }
    unsaved.keys.put.push(put)
    unsaved.keys.drop.push(...drop)
  }

  get #changed(): Unsaved {
    this.#unsaved ??= { reminders: undefined, dealtWith: undefined, keys: undefined }
    return this.#unsaved
  }

  /** With the next save. */
  remind(put: ReminderPut): void {
    this.#reminder(put.name, put)
  }

  cancelReminder(name: string): void {
    this.#reminder(name, undefined)
  }

  #reminder(name: string, put: ReminderPut | undefined): void {
    const unsaved = this.#changed
    unsaved.reminders ??= new Map()
    unsaved.reminders.set(name, put)
  }

  /** Its next host may have to be given its state: there is one, and a way to merge it. */
  get mayHand(): boolean {
    const cell = this.#cell
    if (cell?.merge === undefined || this.#host.leaseOf !== undefined) return false
    return this.#version > 0 && !this.#forgotten
  }

  /** What is to be given to its next host, when the key is saved; undefined: nothing was handed out. */
  get handed(): Handed | undefined {
    const [cell, key, version] = [this.#cell, this.#handed, this.#version]
    if (key === undefined || cell?.blank === undefined) return undefined
    const save = { actor: this.actor, lease: undefined, version, state: cell.blank() }
    return { state: { key, ...cell.encode() }, taken: Effect.asVoid(this.#host.store.save(save)) }
  }

  /** The next save has the key by which the next host sees whether it has the same store. */
  hand(): void {
    this.#handed = `handed:${randomUUID()}`
    this.answered(this.#handed, given)
  }

  /**
   * Of a host that it has stopped on: once, however often it comes, and with the next save. What cannot be merged
   * is that host's to keep, and changes nothing here.
   */
  merge({ bytes, key, schema }: HandedState): Effect.Effect<Merged, LoadError> {
    const cell = this.#cell
    if (cell?.merge === undefined) return Effect.succeed("refused")
    const { merge } = cell
    return Effect.gen(this, function* () {
      yield* this.ready
      // As it is now: by who shares this store it was saved after this life had begun.
      const { keys } = yield* this.#host.store.load(this.actor)
      const known = this.answerTo(key) ?? keys.find((kept) => kept.key === key)?.result
      // Merged: its answer was lost on the way, and who asks again is yet to be told.
      if (known !== undefined) return known[0] === merged[0] ? "merged" : "same"
      return yield* merge({ bytes, schema }).pipe(
        Effect.map((): Merged => {
          this.answered(key, merged)
          return "merged"
        }),
        Effect.catchAllCause((cause) => {
          const what = `a state of ${this.actor.shard.type}/${this.actor.id} that another host has given was not merged`
          return Effect.as(Effect.logWarning(what, cause), "refused" as const)
        })
      )
    })
  }

  /** Nothing of it is saved any more. */
  forget(): void {
    this.#forgotten = true
  }

  get forgotten(): boolean {
    return this.#forgotten
  }

  get save(): Effect.Effect<void, SaveError> {
    return Effect.suspend(() => {
      const { leaseOf, onReminder, store } = this.#host
      const actor = this.actor
      const lease = leaseOf?.(actor.shard.index)
      if (leaseOf !== undefined && (lease === undefined || lease.epoch !== this.#lease?.epoch)) {
        return new Fenced({
          code: "fenced",
          message: `the lease under which ${actor.shard.type}/${actor.id} was begun is lost`,
          ...{ epoch: this.#lease?.epoch ?? 0, current: lease?.epoch ?? 0 }
        })
      }
      const cell = this.#cell
      const revision = cell?.revision ?? 0
      const unsaved = this.#unsaved
      this.#unsaved = undefined
      const reminders = remindersOf(unsaved)
      const keys = unsaved?.keys
      const changed = cell !== undefined && revision !== this.#savedRevision
      const save: Save = {
        actor,
        lease,
        version: this.#version,
        ...(changed ? { state: cell.encode() } : {}),
        ...(keys === undefined ? {} : { keys }),
        ...(reminders === undefined ? {} : { reminders })
      }
      // Who has never been loaded does not know its version: it has not been asked for state yet.
      return this.ready.pipe(
        Effect.zipRight(Effect.suspend(() => store.save({ ...save, version: this.#version }))),
        Effect.flatMap((version) =>
          Effect.sync(() => {
            this.#version = version
            this.#savedRevision = Math.max(this.#savedRevision, revision)
            if ((reminders?.put.length ?? 0) > 0) onReminder()
          })
        )
      )
    })
  }
}

const remindersOf = (unsaved: Unsaved | undefined): Save["reminders"] | undefined => {
  const { dealtWith: done, reminders: all } = unsaved ?? {}
  if (all === undefined && done === undefined) return undefined
  const put: Array<ReminderPut> = []
  const cancel: Array<string> = []
  for (const [name, one] of all ?? []) {
    if (one === undefined) cancel.push(name)
    else put.push(one)
  }
  return { done: done ?? [], cancel, put }
}
