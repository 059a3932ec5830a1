import { expect, test } from "vitest"
import { countMadeUp } from "./Churn.ts"

const member = (node: string, version: number, state = "alive") => ({
  node,
  state,
  record: { version }
})

test("what a node has taken in is the sum of the versions of made-up members", () => {
  const members = [
    member("host-a", 7),
    member("made-up-0", 2),
    member("made-up-1", 3, "suspect"),
    { node: "made-up-2", state: "refused", record: null }
  ]
  expect(countMadeUp(members)).toEqual({ known: 2, alive: 1, versions: 5 })
  expect(countMadeUp([])).toEqual({ known: 0, alive: 0, versions: 0 })
})
