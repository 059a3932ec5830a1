import { expect, test } from "vitest"
import { parseLoopback } from "./Network.ts"

const head = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
`
const ethernet =
  "  eth0:     900       9    0    0    0     0          0         0      700       7\n"

test("loopback's sent bytes are read, beside other interfaces", () => {
  const lo =
    "    lo: 4711000      42    0    0    0     0          0         0  4711001      42    0\n"
  expect(parseLoopback(head + ethernet + lo)).toBe(4_711_001)
  // As wide as its column.
  expect(parseLoopback("    lo:123456789 1 0 0 0 0 0 0 123456789 1 0 0 0 0 0 0\n")).toBe(
    123_456_789
  )
})

test("without loopback nothing is known", () => {
  expect(parseLoopback(head + ethernet)).toBeUndefined()
  expect(parseLoopback("    lo: 1 2 3\n")).toBeUndefined()
})
