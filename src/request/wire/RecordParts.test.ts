import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { ofAtMost } from "./RecordParts.ts"

describe("parts of records", () => {
  it("are all bytes, in order, and every record but the last is full", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.array(fc.uint8Array({ maxLength: 100 })),
        (most, parts) => {
          const lists = ofAtMost(most, parts)
          expect(Buffer.concat(lists.flat())).toEqual(Buffer.concat(parts))
          const sizes = lists.map((list) => list.reduce((sum, { length }) => sum + length, 0))
          expect(sizes.slice(0, -1).every((size) => size === most)).toBe(true)
          expect(sizes.every((size) => size > 0 && size <= most)).toBe(true)
        }
      )
    )
  })
})
