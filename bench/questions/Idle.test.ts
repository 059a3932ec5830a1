import { expect, test } from "vitest"
import type { CrowdReport } from "../idle/Crowd.ts"
import { killsOf, rowOf, withGrowth } from "./Idle.ts"

const report: CrowdReport = {
  windows: [
    { cpuPercent: 0.5, residentBytes: 150e6, bytesPerSecond: 2_000 },
    { cpuPercent: 0.7, residentBytes: 160e6, bytesPerSecond: 2_200 }
  ],
  seen: [4, 4, 4, 4],
  kills: [{ suspected: 0.9, failed: 5, known: 5.5 }]
}

test("a row holds what each window and each kill gave", () => {
  expect(rowOf("nodes-4", "skein", 4, report)).toMatchObject({
    case: "nodes-4",
    peer: "skein",
    errors: 0,
    rounds: {
      cpu: [0.5, 0.7],
      memory: [150, 160],
      bytes: [2, 2.2],
      seen: [4],
      suspected: [0.9],
      failed: [5],
      known: [5.5]
    }
  })
})

test("nodes that do not see all, and kills that not all see, are errors", () => {
  const kill = { suspected: 0.9, failed: null, known: null }
  const row = rowOf("nodes-4", "serf", 4, { ...report, seen: [4, 3, 4, 5], kills: [kill] })
  expect(row.errors).toBe(3)
  expect(row.rounds).toMatchObject({ seen: [3], suspected: [0.9], failed: [], known: [] })
})

test("bytes of a loopback that others use are left out", () => {
  const windows = report.windows.map((it) => ({ ...it, bytesPerSecond: null }))
  expect(rowOf("nodes-4", "serf", 4, { ...report, windows }).rounds["bytes"]).toEqual([])
})

test("memory grows over the fewest nodes of the same product", () => {
  const of = (nodes: number, product: "skein" | "serf", bytes: number) =>
    rowOf(`nodes-${nodes}`, product, nodes, {
      ...report,
      windows: [{ cpuPercent: 1, residentBytes: bytes, bytesPerSecond: null }]
    })
  const rows = withGrowth([
    of(3, "skein", 100e6),
    of(3, "serf", 10e6),
    of(50, "skein", 115e6),
    of(50, "serf", 20e6)
  ])
  expect(rows.map(({ rounds }) => rounds["grown"])).toEqual([[1], [1], [1.15], [2]])
})

test("two nodes stay, to tell of the last that was killed", () => {
  expect(killsOf(3, 3)).toBe(1)
  expect(killsOf(30, 3)).toBe(3)
})
