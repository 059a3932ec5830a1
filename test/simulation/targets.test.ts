/**
 * The numbers that the mesh is held to, at a thousand nodes, 50 ± 20 ms apart, with records of 500 bytes.
 * SEED=<number> runs it with that seed.
 */
import { expect, test } from "vitest"
import { measure } from "./Targets.ts"

const seed = Number(process.env["SEED"] ?? Math.floor(Math.random() * 1e9))

test("a thousand nodes tell, doubt and bury in time, and are quiet at rest", () => {
  const measured = measure(1_000, seed, { changes: 2, crashes: 1, rest: 15 })
  const note = JSON.stringify(measured)
  expect(measured.seen, note).toBeLessThanOrEqual(2_000)
  expect(measured.killed.suspected, note).toBeLessThanOrEqual(2_000)
  expect(measured.killed.dead, note).toBeLessThanOrEqual(10_000)
  expect(measured.silent.dead, note).toBeLessThanOrEqual(10_000)
  expect(measured.idle, note).toBeLessThanOrEqual(6)
}, 120_000)
