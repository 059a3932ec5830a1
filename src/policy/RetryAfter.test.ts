import { expect, it } from "vitest"
import { retryAfterMillis } from "./RetryAfter.ts"

const now = Date.UTC(2030, 0, 1, 12, 0, 0)

it.each([
  ["0", 0],
  ["2", 2_000],
  [" 120 ", 120_000],
  ["Tue, 01 Jan 2030 12:00:05 GMT", 5_000],
  ["Tue, 01 Jan 2030 11:00:00 GMT", 0],
  ["soon", undefined],
  ["-1", undefined],
  ["1.5", undefined],
  ["", undefined],
  ["2030", 2_030_000],
  ["12345678901234567890", undefined],
  ["Tuesday", undefined]
])("Retry-After: %s", (value, expected) => {
  expect(retryAfterMillis(value, now)).toBe(expected)
})
