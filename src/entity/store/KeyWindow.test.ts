import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { KeyWindow } from "./KeyWindow.ts"

const result = (text: string) => new TextEncoder().encode(text)

describe("the keys an actor remembers", () => {
  it("are found until they expire", () => {
    const window = new KeyWindow([{ key: "loaded", result: result("a"), left: 500 }], 1_000, {
      holds: 2_000
    })
    expect(window.find("loaded", 1_499)).toEqual(result("a"))
    expect(window.find("loaded", 1_500)).toBeUndefined()
    const added = window.add("new", result("b"), 1_500)
    expect(added).toEqual({
      put: { key: "new", result: result("b"), left: 2_000 },
      drop: ["loaded"]
    })
    expect(window.find("new", 3_499)).toEqual(result("b"))
    expect(window.find("new", 3_500)).toBeUndefined()
    expect(window.find("other", 0)).toBeUndefined()
  })

  it("are the latest, as many as there may be, and what goes is told so that the store has the same", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.array(fc.record({ key: fc.integer({ max: 30, min: 0 }), after: fc.nat(40) }), {
          maxLength: 80
        }),
        (keys, adds) => {
          const window = new KeyWindow([], 0, { keys, holds: 300 })
          const stored = new Map<string, number>()
          const added = new Map<string, number>()
          let now = 0
          const order: Array<string> = []
          for (const { after, key } of adds) {
            now += after
            const { drop, put } = window.add(String(key), result(String(now)), now)
            for (const gone of drop) expect(stored.delete(gone)).toBe(true)
            stored.set(put.key, now)
            added.set(put.key, now)
            const before = order.indexOf(put.key)
            if (before >= 0) order.splice(before, 1)
            order.push(put.key)
            expect(window.size).toBe(stored.size)
            expect(stored.size).toBeLessThanOrEqual(keys)
            for (const recent of order.slice(-keys)) {
              const at = added.get(recent)!
              const expected = at + 300 > now ? result(String(at)) : undefined
              expect(window.find(recent, now)).toEqual(expected)
            }
          }
        }
      )
    )
  })

  it("that were loaded beyond the bound go at once", () => {
    const loaded = Array.from({ length: 10 }, (_, index) => ({
      ...{ key: String(index), result: result(""), left: 1_000 + index }
    }))
    const window = new KeyWindow(loaded, 0, { keys: 4 })
    expect(window.add("new", result(""), 1).drop).toEqual(["0", "1", "2", "3", "4", "5", "6"])
    expect(window.size).toBe(4)
  })
})
