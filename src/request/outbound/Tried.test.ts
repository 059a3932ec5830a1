import { describe, expect, it } from "vitest"
import { Candidates } from "./Candidates.ts"
import { Tried } from "./Tried.ts"

const endpoints = [..."abc"].map((name) => ({ name, weight: 100 }))
const named = (names: string) => endpoints.filter(({ name }) => names.includes(name))

const now = 1_000

const beenTo = (trail: string) => {
  const tried = new Tried<(typeof endpoints)[number]>()
  for (const name of trail) tried.add(named(name)[0]!, now)
  return tried
}

describe("Tried", () => {
  it.each([
    { trail: "a", among: "abc", left: "bc" },
    { trail: "ab", among: "abc", left: "c" },
    { trail: "ba", among: "abc", left: "c" },
    { trail: "abc", among: "abc", left: "ab" },
    { trail: "abca", among: "abc", left: "bc" },
    { trail: "a", among: "a", left: "a" },
    { trail: "ab", among: "a", left: "a" },
    { trail: "a", among: "bc", left: "bc" },
    { trail: "ab", among: "ab", left: "a" }
  ])("after $trail the next of $among is one of $left", ({ among, left, trail }) => {
    const { all } = beenTo(trail).choose(new Candidates(named(among)), now)
    expect(all.map(({ name }) => name).join("")).toBe(left)
  })

  it.each([
    // An untried one comes first, whatever the others ask for.
    { from: { a: 0, b: 0 }, left: "c", readyAt: Number.NEGATIVE_INFINITY },
    { from: { a: 5_000, b: 9_000 }, left: "c", readyAt: Number.NEGATIVE_INFINITY },
    // c is the last one tried.
    { from: { a: 0, b: 0, c: 0 }, left: "ab", readyAt: 0 },
    { from: { a: 5_000, b: 0, c: 0 }, left: "b", readyAt: 0 },
    { from: { a: 5_000, b: 9_000, c: 0 }, left: "c", readyAt: 0 },
    { from: { a: 5_000, b: 9_000, c: 7_000 }, left: "a", readyAt: 5_000 },
    { from: { a: 9_000, b: 9_000, c: 5_000 }, left: "c", readyAt: 5_000 },
    // What was asked for is over.
    { from: { a: 1_000, b: 1_001, c: 0 }, left: "a", readyAt: 0 }
  ])("when they may be asked from $from, it is $left", ({ from, left, readyAt }) => {
    const tried = new Tried<(typeof endpoints)[number]>()
    for (const [name, time] of Object.entries(from)) {
      // What it said last counts.
      tried.add(named(name)[0]!, 20_000)
      tried.add(named(name)[0]!, time)
    }
    const candidates = new Candidates(endpoints)
    const { all } = tried.choose(candidates, now)
    expect(all.map(({ name }) => name).join("")).toBe(left)
    expect(tried.readyAt(candidates)).toBe(readyAt)
  })

  it.each([
    { trail: "a", among: "ab", any: true },
    { trail: "ab", among: "ab", any: false },
    { trail: "ab", among: "c", any: true },
    { trail: "a", among: "", any: false }
  ])("after $trail: is there another among $among? $any", ({ among, any, trail }) => {
    expect(beenTo(trail).leavesAny(new Candidates(named(among)))).toBe(any)
  })
})
