import { Cause, Effect, Exit, Schema } from "effect"
import { describe, expect, it } from "vitest"
import { AdminNotFound } from "../admin/AdminError.ts"
import { ServiceName } from "../model/Names.ts"
import { answerCall, nodeCalls } from "./NodeCalls.ts"

const failure = new AdminNotFound({ code: "service_not_found", message: "nobody", hint: "look" })
const { endpoints } = nodeCalls

/** As another thread gets it. */
const crossed = async (answer: Effect.Effect<unknown>) =>
  Schema.decodeUnknownSync(endpoints.exit)(structuredClone(await Effect.runPromise(answer)))

describe("a call across threads", () => {
  it("has the answer, the typed failure or the defect of what is asked", async () => {
    const web = ServiceName.make("web")
    const asked: Array<string> = []
    const none = answerCall(endpoints, (service) => {
      asked.push(service)
      return Effect.succeed([])
    })
    expect(await crossed(none("web"))).toEqual(Exit.succeed([]))
    expect(asked).toEqual([web])
    const missing = await crossed(answerCall(endpoints, () => Effect.fail(failure))("web"))
    expect(missing).toEqual(Exit.fail(failure))
    const defect = await crossed(answerCall(endpoints, () => Effect.dieMessage("a bug"))("web"))
    expect(Exit.isFailure(defect) && Cause.pretty(defect.cause)).toContain("a bug")
  })

  it("of what is no question of it is a defect, and ends nothing else", async () => {
    const answer = answerCall(endpoints, () => Effect.succeed([]))
    const exit = await crossed(answer("not a name"))
    expect(Exit.isFailure(exit) && Cause.isDie(exit.cause)).toBe(true)
  })
})
