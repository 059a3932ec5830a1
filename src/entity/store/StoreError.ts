/** Why a store of actors did not do what it was asked. Codes are stable. */
import { Data } from "effect"

/**
 * The store did not answer, or answered with something it should not: it cannot be reached, is too slow,
 * is full, has other tables than expected. Nothing about the actor is known to be wrong; try again later.
 */
export class StoreUnavailable extends Data.TaggedError("StoreUnavailable")<{
  /** `store_newer`: its tables were made by a newer release, which this one does not write into. */
  readonly code: "store_unavailable" | "store_newer"
  /** What was tried and what came of it, in one line. */
  readonly message: string
  /**
   * True: what was asked may have been done nevertheless, for only the answer is missing. Who saved must
   * load before it goes on. False: certainly nothing was done.
   */
  readonly unknown: boolean
  readonly cause?: unknown
}> {}

/**
 * The save came from an owner that is none (any more): its lease has ended and another has the shard, or it
 * was released. Nothing of the save was done, and no save under this lease ever will be: stop the actor.
 */
export class Fenced extends Data.TaggedError("Fenced")<{
  readonly code: "fenced"
  readonly message: string
  /** The epoch the save was made under. */
  readonly epoch: number
  /** The shard's epoch as the store has it; 0: it knows no lease of this shard. */
  readonly current: number
}> {}

/**
 * Somebody has saved this actor since it was loaded. With leases it means that an answer of the store was
 * lost; without (`eventual`), that another host runs the same actor. Nothing of the save was done: load.
 */
export class StateConflict extends Data.TaggedError("StateConflict")<{
  readonly code: "state_conflict"
  readonly message: string
  /** What the save took for the version, and what the store has. */
  readonly expected: number
  readonly actual: number
}> {}

/** What was asked is larger than stores take, or has a name that they cannot hold; it would be refused every time. */
export class StoreRefused extends Data.TaggedError("StoreRefused")<{
  readonly code: "store_refused"
  /** Which part, its size and the limit. */
  readonly message: string
}> {}

export type LoadError = StoreRefused | StoreUnavailable
export type SaveError = Fenced | StateConflict | StoreRefused | StoreUnavailable
