import { spawn } from "node:child_process"
import { expect, test } from "vitest"
import { descendants, ProcessTree, parseResident, parseStat } from "./ProcessTree.ts"

test("fields are counted behind a name with blanks and brackets", () => {
  const rest = `S 17 ${Array.from({ length: 9 }, () => 0).join(" ")} 123 45 0 0`
  expect(parseStat(`4242 (a (b) c) ${rest}`)).toEqual({ parent: 17, ticks: 168 })
})

test("resident memory in bytes; a process that is gone has none", () => {
  expect(parseResident("Name:\tx\nVmRSS:\t    2048 kB\nThreads:\t1\n")).toBe(2_097_152)
  expect(parseResident("Name:\tx\nState:\tZ (zombie)\n")).toBe(0)
})

test("workers and their workers belong to the tree, strangers do not", () => {
  const parents = new Map([
    [1, 0],
    [10, 1],
    [11, 10],
    [12, 11],
    [20, 1]
  ])
  expect(descendants(10, parents)).toEqual([10, 11, 12])
})

test.runIf(process.platform === "linux")("the tests' own process has memory and handles", () => {
  const tree = new ProcessTree(process.pid)
  expect(tree.pids()).toContain(process.pid)
  expect(tree.residentBytes()).toBeGreaterThan(1e6)
  expect(tree.handles()).toBeGreaterThan(2)
  expect(tree.cpuMicros()).toBeGreaterThan(0)
})

test.runIf(process.platform === "linux")("a root that has ended is an error", async () => {
  const child = spawn("true")
  await new Promise((resolve) => child.on("close", resolve))
  expect(() => new ProcessTree(child.pid ?? 0).cpuMicros()).toThrow("has ended")
})
