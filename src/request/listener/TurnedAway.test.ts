import { expect, it } from "vitest"
import { TurnedAway } from "./TurnedAway.ts"

it("turns an address away for as long as it was told, however the address is written", () => {
  let now = 0
  const away = new TurnedAway(() => now)
  expect(away.pauseFor("203.0.113.9")).toBe(0)
  away.set("203.0.113.9", { ms: 2_000, onProbation: true })
  expect(away.pauseFor("::ffff:203.0.113.9")).toBe(2_000)
  expect(away.pauseFor("203.0.113.8")).toBe(0)
  now = 1_999
  expect(away.pauseFor("203.0.113.9")).toBe(1)
  now = 2_000
  expect(away.pauseFor("203.0.113.9")).toBe(0)
})

it("lets it through one by one for a minute, and then as others", () => {
  let now = 0
  const away = new TurnedAway(() => now)
  away.set("203.0.113.9", { ms: 2_000, onProbation: true })
  let through = 0
  for (; now < 62_000; now += 10) if (away.pauseFor("203.0.113.9") === 0) through++
  expect(through).toBe(240)
  now = 62_000
  for (let n = 0; n < 100; n++) expect(away.pauseFor("203.0.113.9")).toBe(0)
})

it("lets in at once when its time is over whom there was merely no time for", () => {
  let now = 0
  const away = new TurnedAway(() => now)
  away.set("203.0.113.9", { ms: 500, onProbation: false })
  expect(away.pauseFor("203.0.113.9")).toBe(500)
  now = 500
  for (let n = 0; n < 100; n++) expect(away.pauseFor("203.0.113.9")).toBe(0)
  // It ends no probation.
  away.set("203.0.113.9", { ms: 2_000, onProbation: true })
  now = 10_000
  away.set("203.0.113.9", { ms: 500, onProbation: false })
  now = 11_000
  expect([away.pauseFor("203.0.113.9"), away.pauseFor("203.0.113.9")]).toEqual([0, 250])
})

it("remembers the last of many", () => {
  const away = new TurnedAway(() => 0)
  for (let n = 0; n <= 4_096; n++)
    away.set(`10.0.${n >> 8}.${n & 255}`, { ms: 1_000, onProbation: true })
  expect(away.pauseFor("10.0.0.0")).toBe(0)
  expect(away.pauseFor("10.0.16.0")).toBe(1_000)
})
