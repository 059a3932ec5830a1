import { describe, expect, it } from "vitest"
import { Candidates } from "./Candidates.ts"
import { Tried } from "./Tried.ts"

const endpoints = [..."abc"].map((name) => ({ name, weight: 100 }))
const named = (names: string) => endpoints.filter(({ name }) => names.includes(name))

const beenTo = (trail: string) => {
  const tried = new Tried<(typeof endpoints)[number]>()
  for (const name of trail) tried.add(named(name)[0]!)
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
    const { all } = beenTo(trail).choose(new Candidates(named(among)))
    expect(all.map(({ name }) => name).join("")).toBe(left)
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
