import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, TestClock } from "effect"
import { MeshRpcError } from "../mesh/host/MeshRpc.ts"
import type { PeerKey } from "../model/Names.ts"
import {
  type AccessUseQuestion,
  makeNodeSurvey,
  type NodeSurveyOptions,
  surveyedAtOnce,
  surveyTimes
} from "./NodeSurvey.ts"

type Options = NodeSurveyOptions<AccessUseQuestion, typeof use>

import { dialLimits } from "./DialTurn.ts"

const peer = (n: number) => `peer-${n}` as PeerKey // only passed back
const use = { rules: [], traffic: [], left: 0 }
const peers = (count: number) => Array.from({ length: count }, (_, n) => peer(n))

const surveyed = (
  count: number,
  ask: Options["ask"],
  isConnected: Options["isConnected"] = () => true
) =>
  Effect.gen(function* () {
    const survey = makeNodeSurvey({ ask, isConnected })
    const asking = yield* Effect.fork(survey(peers(count), { traffic: false }))
    yield* TestClock.adjust(surveyTimes.whole)
    return yield* Fiber.join(asking)
  })

describe("asking other nodes", () => {
  it.effect("takes each at its word, and says of who does not answer why", () =>
    Effect.gen(function* () {
      const failure = (code: "invalid" | "refused", message: string) =>
        Effect.fail(new MeshRpcError({ code, message }))
      const answers = yield* surveyed(4, (one) => {
        if (one === peer(1)) return Effect.never
        if (one === peer(2)) return failure("invalid", "AccessUse: no such question")
        return one === peer(3) ? failure("refused", "AccessUse: not for you") : Effect.succeed(use)
      })
      expect(Array.from(answers.values())).toEqual([
        { kind: "answer", answer: use },
        { kind: "silent", reason: "no answer within 2 s" },
        { kind: "silent", reason: "it is of a release that does not answer this" },
        { kind: "silent", reason: "not for you" }
      ])
    })
  )

  it.effect("asks so many at a time, those that are connected first, and ends in time", () =>
    Effect.gen(function* () {
      let running = 0
      let most = 0
      const asked: Array<PeerKey> = []
      const answers = yield* surveyed(
        200,
        (one) =>
          Effect.gen(function* () {
            asked.push(one)
            most = Math.max(most, ++running)
            yield* Effect.sleep(1_000)
            running--
            return use
          }),
        (one) => one === peer(199)
      )
      expect(asked[0]).toBe(peer(199))
      expect(most).toBe(surveyedAtOnce)
      expect(asked.length).toBeLessThanOrEqual(
        1 + dialLimits.burst + (dialLimits.perSecond * surveyTimes.whole) / 1_000
      )
      expect(answers.size).toBe(200)
      expect(answers.get(peer(198))).toEqual({
        kind: "silent",
        reason: "the time for asking was over"
      })
    })
  )
})
