import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { ReceiveWindow, type WindowSizes } from "./ReceiveWindow.ts"

const KiB = 1024
const sizes: WindowSizes = { first: 64 * KiB, least: 16 * KiB, most: 1024 * KiB }

describe("a receive window", () => {
  it("grows while its reader keeps up", () => {
    const window = new ReceiveWindow(sizes, { left: 8 * 1024 * KiB })
    for (let i = 0; i < 200; i++) {
      expect(window.receive(16 * KiB)).toBe(true)
      window.pass(16 * KiB)
    }
    expect(window.size).toBe(sizes.most)
  })

  it("shrinks while its reader never has everything", () => {
    const window = new ReceiveWindow(sizes, { left: 8 * 1024 * KiB })
    window.receive(64 * KiB)
    for (let i = 0; i < 200; i++) {
      const grant = window.pass(1 * KiB)
      if (grant > 0) window.receive(grant)
    }
    expect(window.size).toBe(sizes.least)
    expect(window.held).toBeLessThanOrEqual(sizes.least)
  })

  it("does not shrink under a reader that halts for a moment after every bite", () => {
    const window = new ReceiveWindow(sizes, { left: 8 * 1024 * KiB })
    for (let i = 0; i < 500; i++) {
      for (let n = 0; n < 3; n++) {
        window.receive(16 * KiB)
      }
      for (let n = 0; n < 3; n++) window.pass(16 * KiB)
    }
    expect(window.size).toBe(sizes.most)
  })

  it("refuses what was not granted", () => {
    const window = new ReceiveWindow(sizes, { left: 0 })
    expect(window.receive(64 * KiB)).toBe(true)
    expect(window.receive(1)).toBe(false)
  })

  it("never lets all windows grow beyond the budget, and gives back what it took", () => {
    const most = 512 * KiB
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(7), fc.integer({ min: 1, max: 40 }), fc.nat(40))),
        (steps) => {
          const budget = { left: most }
          const windows = Array.from({ length: 8 }, () => new ReceiveWindow(sizes, budget))
          const room = windows.map(() => sizes.first)
          for (const [i, arriving, taken] of steps) {
            const window = windows[i]!
            const bytes = Math.min(arriving * KiB, room[i]!)
            expect(window.receive(bytes)).toBe(true)
            room[i] = room[i]! - bytes + window.pass(Math.min(taken * KiB, window.held))
            const grown = windows.reduce((sum, it) => sum + Math.max(0, it.size - sizes.first), 0)
            expect(grown).toBe(most - budget.left)
            expect(budget.left).toBeGreaterThanOrEqual(0)
            // Whoever keeps taking is always granted something again.
            if (window.held === 0) expect(room[i]).toBeGreaterThan(0)
          }
          for (const window of windows) window.free()
          expect(budget.left).toBe(most)
        }
      )
    )
  })
})
