/**
 * The state of an actor that stops on one host, on its way to the host that has it now: where each of them has a
 * store of its own, that one knows nothing of it.
 */
import * as Rpc from "@effect/rpc/Rpc"
import { type Effect, Schema } from "effect"
import { propsOf } from "./ActorProtocol.ts"
import { storeLimits } from "./store/ActorStore.ts"

export const HandedState = Schema.Struct({
  /** Of this handing over: saved by both, each beside the state. By it one store is told from two. */
  key: Schema.String.pipe(Schema.minLength(1), Schema.maxLength(storeLimits.key)),
  /** As a store has it. */
  schema: Schema.Int.pipe(Schema.positive()),
  bytes: Schema.Uint8ArrayFromBase64
})

export type HandedState = typeof HandedState.Type

/** What an actor leaves when it stops on this host. */
export interface Handed {
  readonly state: HandedState
  /**
   * Its next host has it merged: what is here begins from nothing, or it would be merged with itself when the
   * actor comes back. Fails when it has begun here again.
   */
  readonly taken: Effect.Effect<void, unknown>
}

/**
 * `merged`: now, or when it came before. `same`: both have one store. `refused`: the program of that host does not say what becomes of two states, or does
 * not know the Schema of this one.
 */
export const Merged = Schema.Literal("merged", "refused", "same")

export type Merged = typeof Merged.Type

/** How it is handed over: no message of an actor has a name like it, and only hosts of the type may send it. */
export const mergeRpc = propsOf(Rpc.make(".merge", { payload: HandedState, success: Merged }))
