/** A pure behaviour as an actor: what it leaves is saved before what it says is done. */
import { Rpc } from "@effect/rpc"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Layer, Logger, Schema, TestClock } from "effect"
import type { PureActor } from "../mesh/actor/Behaviour.ts"
import * as Actor from "./Actor.ts"
import * as ActorBehaviour from "./ActorBehaviour.ts"
import * as ActorState from "./ActorState.ts"
import { layerLocal } from "./Actors.ts"
import { ActorStore, type ActorStoreShape } from "./store/ActorStore.ts"
import * as MemoryStore from "./store/MemoryStore.ts"
import { StoreUnavailable } from "./store/StoreError.ts"

const Counted = Schema.Struct({ count: Schema.Int, lives: Schema.Int, at: Schema.Number })
type Counted = typeof Counted.Type

const counter: PureActor<Counted, "add" | "look", string> = {
  initial: { count: 0, lives: 0, at: 0 },
  begin: (state) => [{ ...state, lives: state.lives + 1 }, ["begun"]],
  step: (state, message, { wall }) =>
    message === "look"
      ? [state, []]
      : [{ ...state, count: state.count + 1, at: wall }, [`counted ${state.count + 1}`]]
}

const Counter = Actor.make("Counter", [
  Rpc.make("Add", { success: Schema.Array(Schema.String) }),
  Rpc.make("Look", { success: Counted })
])

describe("a behaviour as an actor", () => {
  it.scoped("is saved before its actions are done, and begins with what was saved", () => {
    const store = MemoryStore.make()
    const log: Array<string> = []
    let trouble: "action" | "save" | undefined
    const logging: ActorStoreShape = {
      ...store,
      save: (save) => {
        const isAway = trouble === "save"
        log.push(isAway ? "not saved" : "saved")
        const failure = { code: "store_unavailable", message: "away", unknown: false } as const
        return isAway ? new StoreUnavailable(failure) : store.save(save)
      }
    }
    const live = Counter.toLayer(
      Effect.gen(function* () {
        const state = yield* ActorState.make(Counted, { initial: counter.initial })
        const turn = yield* ActorBehaviour.make(counter, {
          state,
          interpret: (action) =>
            trouble === "action" && action !== "begun"
              ? Effect.die(new Error("a bug"))
              : Effect.sync(() => void log.push(action))
        })
        return {
          Add: () => turn("add"),
          Look: () => Effect.zipRight(turn("look"), state.get)
        }
      })
    ).pipe(
      Layer.provideMerge(layerLocal),
      Layer.provide(Layer.succeed(ActorStore, logging)),
      Layer.provide(Logger.remove(Logger.defaultLogger))
    )
    return Effect.gen(function* () {
      const one = (yield* Counter.client)("one")
      yield* TestClock.setTime(5_000)
      expect(yield* one.Add()).toEqual(["counted 1"])
      expect(log.splice(0)).toEqual(["saved", "begun", "saved", "counted 1"])
      expect(yield* one.Look()).toEqual({ count: 1, lives: 1, at: 5_000 })
      expect(log).toEqual([])

      // What could not be saved has not been done.
      trouble = "save"
      expect(Exit.isFailure(yield* Effect.exit(one.Add()))).toBe(true)
      trouble = undefined
      yield* TestClock.adjust("1 second")
      expect(log.splice(0)).toEqual(["not saved", "saved", "begun"])

      // And what could not be done is to be done again by who begins.
      trouble = "action"
      expect(Exit.isFailure(yield* Effect.exit(one.Add()))).toBe(true)
      trouble = undefined
      yield* TestClock.adjust("1 second")
      expect(log.splice(0)).toEqual(["saved", "saved", "begun"])
      expect(yield* one.Look()).toMatchObject({ count: 2, lives: 3 })
    }).pipe(Effect.provide(live))
  })
})
