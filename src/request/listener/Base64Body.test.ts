import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { Base64Reader, base64Of } from "./Base64Body.ts"

describe("a body of base64", () => {
  it("is read the same however it comes, in padded pieces too", () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 10 }),
        fc.array(fc.nat(8), { minLength: 1, maxLength: 20 }),
        (pieces, cuts) => {
          const text = Buffer.concat(pieces.map((piece) => base64Of(piece)))
          const reader = new Base64Reader()
          const read: Array<Buffer> = []
          for (let at = 0, i = 0; at < text.length; i++) {
            const to = at + 1 + cuts[i % cuts.length]!
            const bytes = reader.read(text.subarray(at, to))
            if (bytes === undefined) throw new Error("refused")
            read.push(bytes)
            at = to
          }
          expect(reader.whole).toBe(true)
          expect(Buffer.concat(read)).toEqual(Buffer.concat(pieces))
        }
      )
    )
  })

  it.each(["AA A", "AA-_", "A===", "=AAA", "AA=A", "====", "AAA\n"])("is not %j", (text) => {
    expect(new Base64Reader().read(Buffer.from(text))).toBeUndefined()
  })

  it("is not whole within a group", () => {
    const reader = new Base64Reader()
    expect(reader.read(Buffer.from("AAAAA"))).toHaveLength(3)
    expect(reader.whole).toBe(false)
  })
})
