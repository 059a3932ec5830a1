/** Programs of a host that are asked how their actors fare. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, TestClock } from "effect"
import { actorReport } from "../testing/ActorReportFixture.ts"
import type { AskedProgram } from "./AskedProgram.ts"
import { HostActors, programPatience } from "./HostActors.ts"

const program = (
  name: string | null,
  services: ReadonlyArray<string>,
  ask: AskedProgram["ask"]
): AskedProgram => ({ program: name, services, ask })

const stop = () => undefined
const report = actorReport("k", 1)

describe("programs that are asked of their actors", () => {
  it.effect("are waited for so long, and those that say nothing are named with why", () =>
    Effect.gen(function* () {
      let waiting = 0
      const actors = new HostActors()
      actors.add(() => [
        program("answers", ["actor-cart"], (_, then) => {
          then([report])
          return stop
        }),
        program("hangs", ["actor-cart", "web"], () => {
          waiting++
          return () => void waiting--
        }),
        program("old", ["actor-till"], (_, then) => {
          then({ reason: "too old" })
          return stop
        })
      ])
      actors.add(() => [program(null, ["web"], () => expect.fail("it has no actors"))])
      const asking = yield* Effect.fork(actors.ask({}))
      yield* TestClock.adjust(programPatience)
      expect(yield* Fiber.join(asking)).toEqual({
        reports: [{ program: "answers", report }],
        silent: [
          { program: "hangs", reason: "it has not answered within 500 ms" },
          { program: "old", reason: "too old" }
        ]
      })
      expect(waiting).toBe(0)
      expect(yield* actors.ask({ type: "Till" })).toEqual({
        reports: [],
        silent: [{ program: "old", reason: "too old" }]
      })
    })
  )
})
