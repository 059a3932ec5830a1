import { afterEach, expect, it } from "vitest"
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

const zone = process.env["TZ"]
afterEach(() => {
  if (zone === undefined) delete process.env["TZ"]
  else process.env["TZ"] = zone
})

/** RFC 9110 §5.6.7: a recipient MUST accept all three, and all of them mean UTC. */
it.each([
  "Tue, 01 Jan 2030 12:00:05 GMT",
  "Tuesday, 01-Jan-30 12:00:05 GMT",
  "Tue Jan  1 12:00:05 2030"
])("a date means the same wherever the host stands: %s", (value) => {
  for (const place of ["UTC", "America/New_York", "Asia/Tokyo"]) {
    process.env["TZ"] = place
    expect(retryAfterMillis(value, now)).toBe(5_000)
  }
})
