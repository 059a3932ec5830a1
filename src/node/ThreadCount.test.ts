import { expect, it } from "vitest"
import { threadCount } from "./ThreadCount.ts"

it("as many as the config says, whatever the host has", () => {
  expect([0, 1, 64].map((threads) => threadCount(threads, 10, 2))).toEqual([0, 1, 64])
})

it("by itself one for each processor, eight at most, and one where the system tells of none", () => {
  const processors = [0, 1, 2, 8, 9, 256]
  expect(processors.map((count) => threadCount("auto", undefined, count))).toEqual([
    1, 1, 2, 8, 8, 8
  ])
})

it("by itself fewer where each would have too few sockets, but one at least", () => {
  const sockets = [0, 255, 256, 511, 512, 1_024, 100_000]
  expect(sockets.map((room) => threadCount("auto", room, 4))).toEqual([1, 1, 1, 1, 2, 4, 4])
})

it("by itself no more than the processors of this process", () => {
  expect(threadCount("auto", undefined)).toBeGreaterThanOrEqual(1)
  expect(threadCount("auto", undefined)).toBeLessThanOrEqual(8)
})
