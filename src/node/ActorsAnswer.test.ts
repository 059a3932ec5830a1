/** What a node tells others of the actors on its host, and of what it tells only some of them. */
import { describe, expect, it } from "vitest"
import { ServiceName } from "../model/Names.ts"
import { activationReport, actorReport } from "../testing/ActorReportFixture.ts"
import { actorsAnswer, answerText, mayHearActors } from "./ActorsAnswer.ts"

const cart = ServiceName.make("actor-cart")
const named = actorReport("k", 5, {
  busiest: [activationReport("user-42")],
  lastError: { text: "Cart/user-42 has crashed", at: 1 },
  actor: { shard: 7, owner: "k", state: activationReport("user-42") }
})
const of = (...reports: ReadonlyArray<typeof named>) => ({
  reports: reports.map((report) => ({ program: "shop", report })),
  silent: []
})

describe("who hears of single actors", () => {
  it("is who may write rules, and who could run them; the numbers are everybody's", () => {
    const asker = (
      capabilities: ReadonlyArray<string>,
      services: ReadonlyArray<string>,
      withheld: ReadonlyArray<string> = []
    ) => ({ capabilities, services, withheld })
    expect(mayHearActors(asker(["policy"], []), cart)).toBe(true)
    expect(mayHearActors(asker([], ["actor-*"]), cart)).toBe(true)
    expect(mayHearActors(asker(["admit"], ["orders"]), cart)).toBe(false)
    expect(mayHearActors(asker([], ["actor-*"]), undefined)).toBe(false)
    // It was taken from it.
    expect(mayHearActors(asker([], ["actor-*"], ["actor-cart"]), cart)).toBe(false)
    expect(mayHearActors(asker([], ["actor-*"], ["actor-till"]), cart)).toBe(true)
    expect(mayHearActors(undefined, cart)).toBe(false)

    expect(actorsAnswer(of(named), () => true)).toMatchObject({ ...of(named), withheld: false })
    const kept = actorsAnswer(of(named), () => false)
    expect(kept).toMatchObject({ withheld: true, left: 0 })
    expect(JSON.stringify(kept)).not.toContain("user-42")
    expect(kept.reports[0]?.report).toMatchObject({ messages: named.messages, busiest: [] })
  })
})

describe("the answer", () => {
  it("has an end, and says how much is not in it", () => {
    const many = Array.from({ length: 900 }, () => named)
    const { left, reports } = actorsAnswer(of(...many), () => true)
    expect(JSON.stringify(reports).length).toBeLessThan(answerText + 2_000)
    expect(reports.length).toBeGreaterThan(50)
    expect(reports.length + left).toBe(900)
  })
})
