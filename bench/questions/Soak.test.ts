import { expect, test } from "vitest"
import { conclude } from "./Soak.ts"

const minutes = (memory: Array<number>, handles: Array<number>) => ({
  case: "host-a",
  peer: "skein",
  rounds: { memory, handles, grown: [], more: [] },
  errors: 0
})

test("growth counts from the settled minute to the last", () => {
  const row = conclude(minutes([90, 120, 121, 125], [20, 30, 31, 29]), 1)
  expect(row.rounds).toEqual({ memory: [125], handles: [29], grown: [5], more: [-1] })
})

test("a run that ends before it has settled shows no growth", () => {
  const row = conclude(minutes([90], [20]), 4)
  expect(row.rounds).toMatchObject({ memory: [90], grown: [0], more: [0] })
})
