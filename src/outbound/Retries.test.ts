/** Where a call's retries go: to those it has not tried yet, while there are any. */
import { describe, expect, it } from "vitest"
import type { PolicyInput } from "../model/Policy.ts"
import { endpointView, Fixture, seededRandom } from "./OutboundFixture.ts"

const kinds = ["p2c_ewma", "least_request", "round_robin"] as const
const some = (letters: string) => [...letters].map((letter) => endpointView(letter))
const inTurn: PolicyInput = { balance: { kind: "round_robin" } }
/** Nothing but the choice of endpoints decides. */
const alone: PolicyInput = {
  breaker: "off",
  ejection: "off",
  retry: { budget: { ratio: 10, minPerSecond: 100 } }
}

/**
 * `count` calls, so many at a time; whoever is in `refusing` has nobody listening. Gives how many
 * were answered well.
 */
const calls = (mesh: Fixture, count: number, refusing: string, atOnce = 1): number => {
  let well = 0
  let answered = mesh.sent.length
  for (let begun = 0; begun < count; begun += atOnce) {
    const all = Array.from({ length: atOnce }, () => mesh.request())
    // Retries come after back-off, or at once while the answers are given.
    do {
      for (; answered < mesh.sent.length; answered++) {
        const sent = mesh.sent[answered]
        if (refusing.includes(sent?.peer[0] ?? "")) sent?.fault("upstream_connect", false)
        else sent?.respond(200)
      }
      mesh.ticker.advance(300)
    } while (answered < mesh.sent.length)
    for (const { receiver } of all) if (receiver.head?.status === 200) well++
  }
  return well
}

describe.each(kinds)("a call's retries under %s", (kind) => {
  const make = (letters: string, change: PolicyInput = {}) =>
    new Fixture({ ...alone, balance: { kind }, ...change }, some(letters), {
      random: seededRandom(7)
    })

  it.each([
    { refusing: "ab", atOnce: 1 },
    { refusing: "bc", atOnce: 1 },
    { refusing: "ac", atOnce: 2 },
    { refusing: "ab", atOnce: 5 },
    { refusing: "bc", atOnce: 8 }
  ])("reach the one of three that is well ($refusing are not, $atOnce calls at once)", (row) => {
    expect(calls(make("abc"), 200, row.refusing, row.atOnce)).toBe(200)
  })

  it("go to each endpoint once before any is tried again", () => {
    const mesh = make("abcd", {
      retry: { attempts: 7, budget: { ratio: 10, minPerSecond: 100 } }
    })
    for (let i = 0; i < 50; i++) {
      const before = mesh.sent.length
      calls(mesh, 1, "abcd")
      const trail = mesh.sent.slice(before).map(({ peer }) => peer[0])
      expect(trail).toHaveLength(8)
      expect(new Set(trail.slice(0, 4)).size).toBe(4)
      // Then anybody but the one tried last.
      for (let j = 4; j < 8; j++) expect(trail[j]).not.toBe(trail[j - 1])
    }
  })
})

describe("taking turns", () => {
  /** Endpoints in the order of the calls' first attempts. */
  const firsts = (mesh: Fixture): string =>
    mesh.observer.all.map(({ endpoints }) => endpoints[0]?.[0]).join("")
  const count = (text: string, letter: string): number => text.split(letter).length - 1

  it("goes on evenly while two of three refuse: nobody's turn is lost", () => {
    const mesh = new Fixture({ ...inTurn, ...alone }, some("abc"))
    calls(mesh, 300, "ab")
    for (const letter of "abc") {
      expect(Math.abs(count(firsts(mesh), letter) - 100)).toBeLessThanOrEqual(1)
    }
  })

  it.each([
    { refusing: "a", letters: "abc" },
    { refusing: "ab", letters: "abc" },
    { refusing: "abc", letters: "abcd" }
  ])("owes nothing afterwards to those that were passed over ($refusing)", (row) => {
    const mesh = new Fixture({ ...inTurn, ...alone }, some(row.letters))
    calls(mesh, 200, row.refusing)
    const before = mesh.observer.all.length
    calls(mesh, 10 * row.letters.length, "")
    const turns = firsts(mesh).slice(before)
    for (const letter of row.letters) {
      expect(Math.abs(count(turns, letter) - 10)).toBeLessThanOrEqual(1)
      // Spread out from the start: no run of turns, nobody waits for two rounds.
      expect(turns).not.toContain(letter.repeat(3))
      expect(turns.slice(0, 2 * row.letters.length)).toContain(letter)
    }
  })

  it("gives the retries of one to all others alike", () => {
    const mesh = new Fixture({ ...inTurn, ...alone }, some("abcd"))
    calls(mesh, 300, "a")
    const all = mesh.sent.map(({ peer }) => peer[0]).join("")
    for (const letter of "bcd") expect(Math.abs(count(all, letter) - 100)).toBeLessThanOrEqual(3)
  })
})
