import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, expect, test } from "vitest"
import { descendants, ProcessTree, parseResident, parseStat } from "./ProcessTree.ts"

const proc = mkdtempSync(join(tmpdir(), "skein-proc-"))
afterEach(() => rmSync(proc, { recursive: true, force: true }))

/** A process as /proc shows it. */
const show = (pid: number, parent: number, ticks: number, kilobytes: number): void => {
  const directory = join(proc, String(pid))
  mkdirSync(join(directory, "fd"), { recursive: true })
  const zeros = Array.from({ length: 9 }, () => 0).join(" ")
  writeFileSync(join(directory, "stat"), `${pid} (a (b) c) S ${parent} ${zeros} ${ticks} 0 0 0`)
  writeFileSync(join(directory, "status"), `Name:\tx\nVmRSS:\t${kilobytes} kB\n`)
  writeFileSync(join(directory, "fd", "0"), "")
}

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

test("what a tree costs is the sum of its processes", () => {
  show(10, 1, 40, 100)
  show(11, 10, 60, 200)
  show(20, 1, 999, 999)
  const tree = new ProcessTree(10, proc)
  expect(tree.residentBytes()).toBe(300 * 1_024)
  expect(tree.handles()).toBe(2)
  const alone = new ProcessTree(11, proc)
  expect(tree.cpuMicros() / alone.cpuMicros()).toBeCloseTo(100 / 60)
})

test("a root that has ended is an error, not a figure of nothing", () => {
  show(10, 1, 40, 100)
  expect(() => new ProcessTree(77, proc).cpuMicros()).toThrow("process 77 has ended")
})
