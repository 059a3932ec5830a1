import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, TestClock } from "effect"
import { JoinError } from "../mesh/trust/Join.ts"
import { whenNameIsFree } from "./NamePatience.ts"

const refused = (code: "name_taken" | "expired") =>
  new JoinError({ message: code, attempts: [{ address: "a", code, message: "" }] })

/** Lets in at the given try. */
const joining = (at: number, error = refused("name_taken")) => {
  let tries = 0
  const join = Effect.suspend(() => (++tries >= at ? Effect.succeed("in") : Effect.fail(error)))
  return { join: whenNameIsFree("host-a", join), tries: () => tries }
}

describe("a joiner whose name is taken", () => {
  it.effect("knocks every second, and is in when the name is free", () =>
    Effect.gen(function* () {
      const { join, tries } = joining(4)
      const fiber = yield* Effect.fork(join)
      yield* TestClock.adjust("1500 millis")
      expect(tries()).toBe(3)
      yield* TestClock.adjust("1 second")
      expect(yield* Fiber.join(fiber)).toBe("in")
    })
  )

  it.effect("gives up when it does not become free", () =>
    Effect.gen(function* () {
      const { join, tries } = joining(100)
      const fiber = yield* Effect.fork(Effect.exit(join))
      yield* TestClock.adjust("40 seconds")
      expect(Exit.isFailure(yield* Fiber.join(fiber))).toBe(true)
      expect(tries()).toBeLessThan(34)
    })
  )

  it.effect("does not wait when it is something else", () =>
    Effect.gen(function* () {
      const { join, tries } = joining(2, refused("expired"))
      expect(Exit.isFailure(yield* Effect.exit(join))).toBe(true)
      expect(tries()).toBe(1)
    })
  )
})
