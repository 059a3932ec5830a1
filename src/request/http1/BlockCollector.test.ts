import { describe, expect, it } from "vitest"
import { BlockCollector, blockText } from "./BlockCollector.ts"
import { Http1Error } from "./Http1Error.ts"
import { peerHttp1Limits } from "./Limits.ts"

const tooLong = (beginning: string): Http1Error => new Http1Error("trailer_bytes", beginning)
const bytes = (text: string): Buffer => Buffer.from(text, "latin1")

describe("BlockCollector", () => {
  it("finds the end of a block wherever it begins and however it is cut", () => {
    const text = "a: b\r\n\r\nrest"
    for (let cut = 0; cut <= text.length; cut++) {
      const collector = new BlockCollector(100, peerHttp1Limits, tooLong)
      const first = bytes(`..${text.slice(0, cut)}`)
      const found = first.length > 2 ? collector.take(first, 2) : undefined
      if (cut >= 8) {
        expect(found).toBe("a: b\r\n\r\n")
        expect(collector.end).toBe(10)
      } else {
        expect(found).toBeUndefined()
        expect(collector.empty).toBe(cut === 0)
        expect(collector.take(bytes(text.slice(cut)), 0)).toBe("a: b\r\n\r\n")
        expect(collector.end).toBe(8 - cut)
      }
      expect(collector.empty).toBe(true)
    }
  })

  it("returns at a bare LF, also at the first byte, whatever stands before the block", () => {
    for (const lead of ["", "\r"]) {
      const collector = new BlockCollector(100, peerHttp1Limits, tooLong)
      expect(collector.take(bytes(`${lead}\nabc`), lead.length)).toBe("\n")
    }
    const collector = new BlockCollector(100, peerHttp1Limits, tooLong)
    expect(collector.take(bytes("a\r"), 0)).toBeUndefined()
    expect(collector.take(bytes("\nb"), 0)).toBeUndefined()
    expect(collector.take(bytes("\nc"), 0)).toBe("a\r\nb\n")
  })

  it("holds no more than its limit, and makes its error of exactly so much", () => {
    const error = (message: string) => expect.objectContaining({ message, rule: "trailer_bytes" })
    expect(() =>
      new BlockCollector(8, peerHttp1Limits, tooLong).take(bytes("x: 56789"), 0)
    ).toThrow(error("x: 56789"))
    const collector = new BlockCollector(8, peerHttp1Limits, tooLong)
    for (const byte of "x: 5\r\n\r") expect(collector.take(bytes(byte), 0)).toBeUndefined()
    expect(collector.take(bytes("\nmore"), 0)).toBe("x: 5\r\n\r\n")
    expect(collector.take(bytes("x: 5678"), 0)).toBeUndefined()
    expect(() => collector.take(bytes("\r\n\r\n"), 0)).toThrow(error("x: 5678\r"))
  })
})

describe("blockText", () => {
  it("wants a whole block within the limit", () => {
    expect(blockText(bytes("a: b\r\n\r\n"), peerHttp1Limits)).toBe("a: b\r\n\r\n")
    expect(() => blockText(bytes("a: b\r\n"), peerHttp1Limits)).toThrow("no empty line")
    expect(() => blockText(bytes("a: b\r\n\r\n"), { ...peerHttp1Limits, headBytes: 7 })).toThrow(
      "a head of 8 bytes is over the limit of 7"
    )
  })
})
