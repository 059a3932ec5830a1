import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { CellMemory, type Slots } from "./CellMemory.ts"

describe("CellMemory", () => {
  test("no slot is in two cells, whatever is taken and given back, and all begin with 0", () => {
    const steps = fc.array(
      fc.oneof(fc.record({ take: fc.constantFrom(1, 3, 26) }), fc.record({ give: fc.nat(1_000) })),
      { maxLength: 200 }
    )
    fc.assert(
      fc.property(steps, (all) => {
        const memory = new CellMemory({ chunkSlots: 64, chunks: 4 })
        const held: Array<Slots> = []
        for (const step of all) {
          if ("give" in step) {
            const [given] = held.splice(step.give % Math.max(1, held.length), 1)
            if (given !== undefined) memory.give(given)
            continue
          }
          const slots = memory.take(step.take)
          if (slots === undefined) continue
          const view = slots.values.subarray(slots.at, slots.at + slots.size)
          expect(view.length).toBe(step.take)
          expect(view.every((value) => value === 0)).toBe(true)
          view.fill(held.length + 1)
          held.push(slots)
          const taken = new Set<string>()
          for (const { chunk, at, size } of held) {
            for (let i = at; i < at + size; i++) taken.add(`${chunk}/${i}`)
          }
          expect(taken.size).toBe(held.reduce((sum, { size }) => sum + size, 0))
        }
        expect(memory.chunks.length).toBeLessThanOrEqual(4)
      })
    )
  })

  test("is full at its limit, until something is given back", () => {
    const memory = new CellMemory({ chunkSlots: 4, chunks: 2 })
    const taken = Array.from({ length: 8 }, () => memory.take(1))
    expect(taken.every((slots) => slots !== undefined)).toBe(true)
    expect(memory.take(1)).toBeUndefined()
    memory.give(taken[3]!)
    expect(memory.take(1)).toMatchObject({ chunk: 0, at: 3 })
    expect(memory.take(5)).toBeUndefined()
  })

  test("what is written is in the shared chunk", () => {
    const memory = new CellMemory()
    const slots = memory.take(2)!
    slots.values[slots.at + 1] = 7
    expect(new Float64Array(memory.chunks[slots.chunk]!)[slots.at + 1]).toBe(7)
  })
})
