/**
 * Where actors are kept: their state, who may run them, what was answered to whom, and what they are to be
 * reminded of. One small interface, so that a test, a file and a database are the same to all that is above.
 *
 * Three things hold in every store, and one suite of tests holds all of them to it:
 *
 * - **One transaction.** A save's state, keys and reminders are all there, or none is.
 * - **Fencing.** Each change of a shard's owner makes its epoch larger; a save that names a lease which the
 *   store does not know as the latest is refused, whenever it arrives and however late.
 * - **The store's clock.** When a lease, a key or a reminder ends is judged by the clock of the store alone.
 *   Clocks of hosts matter for nothing but how long they wait.
 */
import { Context, type Effect } from "effect"
import type { LoadError, SaveError, StoreUnavailable } from "./StoreError.ts"

/** A part of the actors of one type, which moves as a whole. */
export interface Shard {
  /** The actor's type: `Cart`. */
  readonly type: string
  /** From 0; how many there are is agreed on above. */
  readonly index: number
}

export interface ActorAddress {
  readonly shard: Shard
  /** Unique in the type, whatever the shard. */
  readonly id: string
}

/**
 * Who holds leases: one life of one process. It must never be used again, so it has something random in it:
 * a process that begins anew knows nothing of what it held, and must not be taken for who did.
 */
export type OwnerId = string

/** The right to run the actors of a shard, for a time. */
export interface Lease {
  readonly shard: Shard
  readonly owner: OwnerId
  /** From 1, larger with every owner: also when the same one comes back after its lease had ended. */
  readonly epoch: number
}

/** A lease as the store sees it, for who wants to look. */
export interface HeldLease extends Lease {
  /** Milliseconds it still holds for; never 0 or less. */
  readonly left: number
}

/** What was answered to a message with an idempotency key. */
export interface KeptKey {
  /** At most `storeLimits.key` characters. */
  readonly key: string
  /** The encoded answer, which is given again. */
  readonly result: Uint8Array
  /** Milliseconds from now until it is forgotten. */
  readonly left: number
}

export interface LoadedActor {
  /** How often it was saved; 0: never, and there is nothing else. */
  readonly version: number
  /** Absent: never saved, or saved without state. */
  readonly state: StoredState | undefined
  /** Those that still hold; the one that ends first is the first. */
  readonly keys: ReadonlyArray<KeptKey>
}

export interface StoredState {
  readonly bytes: Uint8Array
  /** Of the Schema that the bytes were written by (ActorState's `version`), from 1. */
  readonly schema: number
}

/** A reminder falls due that many milliseconds from now, or at a moment (milliseconds since 1970). */
export type When = { readonly after: number } | { readonly at: number }

export interface ReminderPut {
  /** Unique in the actor; another one by that name is replaced. */
  readonly name: string
  readonly when: When
  /** Handed back when it is due. */
  readonly payload: Uint8Array
}

export interface DueReminder {
  readonly actor: ActorAddress
  readonly name: string
  /** Milliseconds since 1970 by the store's clock; with the name it says which one is done. */
  readonly due: number
  readonly payload: Uint8Array
}

/** One step of an actor, as far as it is to outlive it. What is absent stays as it is. */
export interface Save {
  readonly actor: ActorAddress
  /** The lease the actor runs under. Absent: `eventual`, nothing is fenced and only versions are compared. */
  readonly lease: Lease | undefined
  /** What `load` or the last save said. */
  readonly version: number
  readonly state?: StoredState
  readonly keys?: {
    readonly put: ReadonlyArray<KeptKey>
    /** So that an actor never has more than it may (KeyWindow.ts says which). */
    readonly drop: ReadonlyArray<string>
  }
  readonly reminders?: {
    /** Has been dealt with: it is removed, unless it was put anew for another time. */
    readonly done: ReadonlyArray<Pick<DueReminder, "due" | "name">>
    /** Removed whenever they are due. */
    readonly cancel: ReadonlyArray<string>
    /** Comes last: what was done or cancelled may be put again. */
    readonly put: ReadonlyArray<ReminderPut>
  }
}

/** Where a reminder stands among those that are due, by `due`, type, id and name: each has a place of its own. */
export type ReminderPlace = Pick<DueReminder, "actor" | "due" | "name">

export interface DueReminders {
  /** The earliest first, at most `limit`. */
  readonly due: ReadonlyArray<DueReminder>
  /** Milliseconds until another one falls due, 0 when `due` is full: further ones are due. Undefined: there is none. */
  readonly next: number | undefined
}

/** What is larger is refused. Bytes, or characters of a name, of which none is NUL or half a surrogate pair. */
export const storeLimits = {
  /** Of a state, a result or a reminder's payload. */
  bytes: 1_048_576,
  /** Of an actor's type and of its id. */
  type: 128,
  id: 256,
  key: 128,
  /** Of a reminder. */
  name: 128,
  /** In one save: of keys, and of reminders. */
  perSave: 256
} as const

export interface ActorStoreShape {
  /** What is known of an actor. It needs no lease: who has none cannot save what it makes of it. */
  readonly load: (actor: ActorAddress) => Effect.Effect<LoadedActor, LoadError>
  /** All of it or nothing; returns the actor's new version. It is on the disk when this succeeds. */
  readonly save: (save: Save) => Effect.Effect<number, SaveError>

  /**
   * Takes those of the shards that nobody holds, and answers with the leases `owner` has got now. One that it
   * holds already is prolonged under the same epoch, for the answer to an earlier request may have been lost;
   * one that had ended gets a larger epoch.
   *
   * `ttl` are milliseconds from when the store does it. The holder counts them from before it asked, by a
   * clock that never jumps, and stops before they are over (LeaseKeeper.ts).
   */
  readonly acquire: (
    owner: OwnerId,
    shards: ReadonlyArray<Shard>,
    ttl: number
  ) => Effect.Effect<ReadonlyArray<Lease>, StoreUnavailable>
  /**
   * Prolongs leases that are still the latest of their shards and have not ended, and answers with those.
   * What is missing in the answer is lost for good.
   */
  readonly renew: (
    leases: ReadonlyArray<Lease>,
    ttl: number
  ) => Effect.Effect<ReadonlyArray<Lease>, StoreUnavailable>
  /** Lets go, so that others need not wait; from then on saves under them are fenced. */
  readonly release: (leases: ReadonlyArray<Lease>) => Effect.Effect<void, StoreUnavailable>
  /** Leases of a type that hold now. */
  readonly leases: (type: string) => Effect.Effect<ReadonlyArray<HeldLease>, StoreUnavailable>

  /**
   * Reminders of these shards that are due, those behind `after` alone if that is said. They stay until a save says
   * that they are done: one is told at least once, and again after a crash.
   */
  readonly reminders: (
    shards: ReadonlyArray<Shard>,
    limit: number,
    after?: ReminderPlace
  ) => Effect.Effect<DueReminders, StoreUnavailable>

  /** Forgets keys that have expired, at most `limit`, and answers how many those were. */
  readonly sweep: (limit: number) => Effect.Effect<number, StoreUnavailable>
}

export class ActorStore extends Context.Tag("skein/ActorStore")<ActorStore, ActorStoreShape>() {}
