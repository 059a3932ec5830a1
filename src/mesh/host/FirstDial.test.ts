import { expect, test } from "vitest"
import { dialPatience } from "./FirstDial.ts"

const now = 1_790_000_000_000

test("who has just started is left to dial first, for a second or two", () => {
  expect(dialPatience(now - 500, now, 0)).toBe(1_000)
  expect(dialPatience(now - 9_999, now, 0.5)).toBe(1_500)
  // Its clock may be ahead of ours.
  expect(dialPatience(now + 3_000, now, 0.5)).toBe(1_500)
})

test("who has been there for a while, or of whom nothing is known, is dialled at once", () => {
  expect(dialPatience(now - 10_000, now, 0.5)).toBe(0)
  expect(dialPatience(now + 3_600_000, now, 0.5)).toBe(0)
  expect(dialPatience(undefined, now, 0.5)).toBe(0)
})
