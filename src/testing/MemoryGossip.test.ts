import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Layer, Scope } from "effect"
import { Gossip } from "../mesh/host/Gossip.ts"
import { MemoryBus } from "./MemoryGossip.ts"

describe("the memory bus", () => {
  it.effect("reaches every other node that is there and can be reached", () =>
    Effect.gen(function* () {
      let apart = false
      const bus = new MemoryBus({ reaches: (from, to) => !apart || from === to })
      const got: Array<string> = []
      const join = (name: string, scope: Scope.Scope) =>
        Effect.gen(function* () {
          const gossip = yield* Effect.provide(
            Gossip,
            yield* Layer.buildWithScope(bus.layer(), scope)
          )
          yield* gossip.subscribe("catalogue", (bytes) => {
            got.push(`${name}: ${Buffer.from(bytes)}`)
            return "accept"
          })
          return gossip
        })
      const [one, two, three] = yield* Effect.all([Scope.make(), Scope.make(), Scope.make()])
      const a = yield* join("a", one)
      yield* join("b", two)
      yield* join("c", three)
      const say = (text: string) =>
        Effect.zipRight(
          a.publish("catalogue", Buffer.from(text)),
          Effect.promise(async () => {})
        )
      yield* say("first")
      yield* Effect.sync(() => {
        apart = true
      })
      yield* say("nobody hears this")
      apart = false
      yield* Scope.close(three, Exit.void)
      yield* say("second")
      yield* a.publish("membership", Buffer.from("another topic"))
      expect(got).toEqual(["b: first", "c: first", "b: second"])
    })
  )
})
