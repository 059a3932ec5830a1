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
import { Effect, Schema } from "effect"
import type { ActorUnavailable } from "./ActorError.ts"
import type { StateCell } from "./ActorMemory.ts"
import { CurrentActivation } from "./CurrentActivation.ts"
import type { StoredState } from "./store/ActorStore.ts"

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
}

class HeldState<A, I> implements StateCell {
  readonly #encode: (value: A) => I
  revision = 0
  value: A

  constructor(encode: (value: A) => I, value: A) {
    this.#encode = encode
    this.value = value
  }

  encode(): StoredState {
    return { bytes: encoder.encode(JSON.stringify(this.#encode(this.value))), schema: 1 }
  }

  set(value: A): void {
    if (value === this.value) return
    this.value = value
    this.revision++
  }
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** One for each actor, while its handlers are built. */
export const make = <A, I>(
  schema: Schema.Schema<A, I>,
  { initial }: ActorStateOptions<A> = {}
): Effect.Effect<ActorState<A>, never, CurrentActivation> =>
  Effect.gen(function* () {
    const { memory } = yield* CurrentActivation
    if (memory.holdsState)
      return yield* Effect.dieMessage("an actor has one state: ActorState.make was called twice")
    const { state } = yield* Effect.orDie(memory.loaded)
    const decode = Schema.decodeUnknown(schema)
    const value =
      state !== undefined
        ? yield* Effect.orDie(decode(JSON.parse(decoder.decode(state.bytes))))
        : initial !== undefined
          ? initial
          : yield* Effect.orDie(decode({}))
    const cell = new HeldState(Schema.encodeSync(schema), value)
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
