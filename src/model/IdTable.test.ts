import * as fc from "fast-check"
import { expect, it } from "vitest"
import { IdTable } from "./IdTable.ts"

const id = fc.oneof(fc.nat({ max: 40 }), fc.integer({ min: 2 ** 32 - 40, max: 2 ** 32 - 1 }))
const step = fc.record({ id, adds: fc.boolean() })

it("has what was put in and not taken out, as a Map has it, by number", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const map = new Map<number, string>()
      const table = new IdTable<string>()
      for (const { adds, id } of steps) {
        if (!adds) expect(table.delete(id)).toBe(map.delete(id))
        else if (!map.has(id)) {
          map.set(id, `of ${id}`)
          table.add(id, `of ${id}`)
        }
        expect(table.get(id)).toBe(map.get(id))
        expect(table.size).toBe(map.size)
      }
      expect(table.values()).toEqual([...map].sort(([a], [b]) => a - b).map(([, text]) => text))
    })
  )
})

it("takes in many, and finds them when most have gone", () => {
  const table = new IdTable<number>()
  for (let i = 1; i <= 5_000; i++) table.add(i, i)
  expect(table.size).toBe(5_000)
  for (let i = 1; i <= 5_000; i++) if (i % 1_000 !== 0) table.delete(i)
  expect(table.values()).toEqual([1_000, 2_000, 3_000, 4_000, 5_000])
  for (const i of table.values()) table.delete(i)
  table.add(7, 7)
  expect([table.size, table.get(7), table.get(8)]).toEqual([1, 7, undefined])
})
