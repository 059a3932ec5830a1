/**
 * What one actor has in the store, and what of it is to be saved next: its state, the answers it has given
 * under keys, its reminders. Nothing is read before somebody asks for it, so an actor without any of them
 * never meets the store.
 */
import { Effect, type Exit } from "effect"
import type { ActorUnavailable } from "./ActorError.ts"
import type { Message } from "./Message.ts"
import type {
  ActorAddress,
  ActorStoreShape,
  DueReminder,
  KeptKey,
  Lease,
  LoadedActor,
  ReminderPut,
  Save,
  StoredState
} from "./store/ActorStore.ts"
import { KeyWindow } from "./store/KeyWindow.ts"
import type { LoadError, SaveError } from "./store/StoreError.ts"

/** The state, as whoever holds it shows it. */
export interface StateCell {
  /** Larger with each change. */
  readonly revision: number
  readonly encode: () => StoredState
}

export interface ActorMemoryOptions {
  readonly actor: ActorAddress
  readonly store: ActorStoreShape
  /** It runs under this one; undefined: it needs none (`eventual`). */
  readonly lease: () => Lease | undefined
  /** Milliseconds by a clock that never jumps. */
  readonly now: () => number
  /** There is something to be reminded of. */
  readonly onReminder: () => void
  /** Saves what has changed outside of a message. */
  readonly saveNow: Effect.Effect<void, ActorUnavailable>
}

export class ActorMemory {
  readonly saveNow: Effect.Effect<void, ActorUnavailable>
  readonly #options: ActorMemoryOptions
  #version = 0
  #loaded: LoadedActor | undefined
  #cell: StateCell | undefined
  #savedRevision = 0
  /** By name; undefined: it is cancelled. */
  #reminders: Map<string, ReminderPut | undefined> | undefined
  #dealtWith: Array<Pick<DueReminder, "due" | "name">> | undefined
  #keys: KeyWindow | undefined
  #newKeys: { readonly put: Array<KeptKey>; readonly drop: Array<string> } | undefined
  #forgotten = false

  constructor(options: ActorMemoryOptions) {
    this.#options = options
    this.saveNow = options.saveNow
  }

  /** From the store, once. */
  get loaded(): Effect.Effect<LoadedActor, LoadError> {
    return Effect.suspend(() => {
      if (this.#loaded !== undefined) return Effect.succeed(this.#loaded)
      const { actor, store } = this.#options
      return Effect.map(store.load(actor), (loaded) => {
        this.#loaded ??= loaded
        this.#version = this.#loaded.version
        this.#keys ??= new KeyWindow(this.#loaded.keys, this.#options.now())
        return this.#loaded
      })
    })
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
      this.#newKeys !== undefined ||
      this.#reminders !== undefined ||
      this.#dealtWith !== undefined
    )
  }

  /** A message has been handled. True: its answer has to wait for a save. */
  ends({ reminder }: Message, _: Exit.Exit<unknown, unknown>): boolean {
    if (reminder !== undefined) {
      this.#dealtWith ??= []
      this.#dealtWith.push(reminder)
    }
    return this.dirty
  }

  /** What was answered under that key, once it is loaded; undefined: nothing yet. */
  answerTo(key: string): Uint8Array | undefined {
    return this.#keys?.find(key, this.#options.now())
  }

  /** With the next save, which is that of the message it answers. */
  answered(key: string, result: Uint8Array): void {
    if (this.#keys === undefined) return
    const { drop, put } = this.#keys.add(key, result, this.#options.now())
    this.#newKeys ??= { put: [], drop: [] }
    this.#newKeys.put.push(put)
    this.#newKeys.drop.push(...drop)
  }

  /** With the next save. */
  remind(put: ReminderPut): void {
    this.#reminders ??= new Map()
    this.#reminders.set(put.name, put)
  }

  cancelReminder(name: string): void {
    this.#reminders ??= new Map()
    this.#reminders.set(name, undefined)
  }

  /** Nothing of it is saved any more. */
  forget(): void {
    this.#forgotten = true
  }

  get save(): Effect.Effect<void, SaveError> {
    return Effect.suspend(() => {
      const { actor, lease, store } = this.#options
      const cell = this.#cell
      const revision = cell?.revision ?? 0
      const reminders = this.#takeReminders()
      const keys = this.#newKeys
      this.#newKeys = undefined
      const changed = cell !== undefined && revision !== this.#savedRevision
      const save: Save = {
        actor,
        lease: lease(),
        version: this.#version,
        ...(changed ? { state: cell.encode() } : {}),
        ...(keys === undefined ? {} : { keys }),
        ...(reminders === undefined ? {} : { reminders })
      }
      // Who has never been loaded does not know its version: it has not been asked for state yet.
      const ready = this.#loaded === undefined ? Effect.asVoid(this.loaded) : Effect.void
      return ready.pipe(
        Effect.zipRight(Effect.suspend(() => store.save({ ...save, version: this.#version }))),
        Effect.flatMap((version) =>
          Effect.sync(() => {
            this.#version = version
            this.#savedRevision = Math.max(this.#savedRevision, revision)
            if ((reminders?.put.length ?? 0) > 0) this.#options.onReminder()
          })
        )
      )
    })
  }

  #takeReminders(): Save["reminders"] | undefined {
    const [all, done] = [this.#reminders, this.#dealtWith]
    if (all === undefined && done === undefined) return undefined
    this.#reminders = undefined
    this.#dealtWith = undefined
    const put: Array<ReminderPut> = []
    const cancel: Array<string> = []
    for (const [name, one] of all ?? []) {
      if (one === undefined) cancel.push(name)
      else put.push(one)
    }
    return { done: done ?? [], cancel, put }
  }
}
