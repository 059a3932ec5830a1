/**
 * What an actor is to remember: a value with a Schema, loaded before its first message and saved with the
 * end of each message that has changed it. Between them it is a plain value in memory.
 *
 *     const state = yield* ActorState.make(Cart)
 *     return {
 *       Add: ({ payload }) => Effect.map(state.update((cart) => cart.with(payload.item)), ({ size }) => size)
 *     }
 *
 * What a message changes before it fails is saved as well; what it changes before it dies is not.
 */
import { Effect, Either, type Schema } from "effect"
import type { ActorUnavailable } from "./ActorError.ts"
import type { StateCell } from "./ActorMemory.ts"
import { CurrentActivation } from "./CurrentActivation.ts"
import type { StoredState } from "./store/ActorStore.ts"
import { StateVersions, stateOf } from "./store/StateVersions.ts"

export interface ActorState<A> {
  readonly get: Effect.Effect<A>
  readonly set: (value: A) => Effect.Effect<void>
  /** Returns what it has become. */
  readonly update: (change: (value: A) => A) => Effect.Effect<A>
  readonly modify: <B>(change: (value: A) => readonly [B, A]) => Effect.Effect<B>
  /**
   * Saves at once, instead of at the end of the message: before something is done outside that must not
   * be done for nothing, and for changes that no message has made.
   */
  readonly save: Effect.Effect<void, ActorUnavailable>
}

export interface ActorStateOptions<A> {
  /** Of an actor that was never saved. Default: what the Schema makes of `{}`. */
  readonly initial?: A | undefined
  /**
   * Of `eventual` actors whose hosts have each a store of its own: when one stops here that ran elsewhere as well,
   * or whose state is in another store, its state is given to the actor's host, and this makes one of both. It comes
   * once; after a third host was in it, maybe again.
   */
  readonly merge?: ((mine: A, theirs: A) => A) | undefined
}

class HeldState<A> implements StateCell {
  readonly #versions: StateVersions<A>
  readonly merge: StateCell["merge"]
  revision = 0
  value: A

  readonly #initial: A | undefined

  constructor(versions: StateVersions<A>, value: A, options: ActorStateOptions<A>) {
    const { initial, merge } = options
    this.#versions = versions
    this.#initial = initial
    this.value = value
    this.merge =
      merge === undefined
        ? undefined
        : (theirs) =>
            Effect.flatMap(versions.decode(theirs), (other) =>
              Effect.sync(() => this.set(merge(this.value, other)))
            )
  }

  blank(): StoredState {
    return this.#initial === undefined
      ? { bytes: nothing, schema: this.#versions.latest }
      : Either.getOrThrowWith(this.#versions.encode(this.#initial), (error) => error)
  }

  encode(): StoredState {
    return Either.getOrThrowWith(this.#versions.encode(this.value), (error) => error)
  }

  set(value: A): void {
    if (value === this.value) return
    this.value = value
    this.revision++
  }
}

const nothing = new TextEncoder().encode("{}")

/**
 * One for each actor, while its handlers are built. Of a state that has had other Schemas before: the
 * `StateVersions` that begin with `stateOf`.
 */
export const make = <A, I = A>(
  schema: Schema.Schema<A, I> | StateVersions<A>,
  options: ActorStateOptions<A> = {}
): Effect.Effect<ActorState<A>, never, CurrentActivation> =>
  Effect.gen(function* () {
    const { initial } = options
    const { memory } = yield* CurrentActivation
    if (memory.holdsState)
      return yield* Effect.dieMessage("an actor has one state: ActorState.make was called twice")
    const { state } = yield* Effect.orDie(memory.loaded)
    const versions = schema instanceof StateVersions ? schema : stateOf(schema)
    const value =
      state === undefined && initial !== undefined
        ? initial
        : yield* Effect.orDie(versions.decode(state ?? { bytes: nothing, schema: versions.latest }))
    const cell = new HeldState(versions, value, options)
    memory.hold(cell)
    return {
      get: Effect.sync(() => cell.value),
      set: (next) => Effect.sync(() => cell.set(next)),
      update: (change) =>
        Effect.sync(() => {
          cell.set(change(cell.value))
          return cell.value
        }),
      modify: (change) =>
        Effect.sync(() => {
          const [result, next] = change(cell.value)
          cell.set(next)
          return result
        }),
      save: memory.saveNow
    }
  })
