import { randomBytes } from "node:crypto"
import { describe, expect, it } from "@effect/vitest"
import fc from "fast-check"
import {
  maxRecordBytes,
  RecordError,
  RecordOpener,
  RecordSealer,
  recordHeader,
  recordSecrets
} from "./RecordCipher.ts"

interface Opened {
  readonly kind: number
  readonly lane: number
  readonly plain: string
}

const secret = Buffer.alloc(32, 7)

const opener = (key: Buffer = secret) => {
  const opened: Array<Opened> = []
  const it = new RecordOpener(key, (kind, lane, plain) => {
    opened.push({ kind, lane, plain: plain.toString("hex") })
  })
  return { it, opened }
}

const record = fc.record({
  kind: fc.nat(255),
  lane: fc.nat(0xffff_ffff),
  plain: fc.uint8Array({ maxLength: 200 })
})

const three = (): Array<Buffer> => {
  const sealer = new RecordSealer(secret)
  return ["one", "two", "three"].map((text, i) => sealer.seal(2, i, Buffer.from(text)))
}

describe("records", () => {
  it("come out as they went in, however the bytes are cut", () => {
    fc.assert(
      fc.property(
        fc.array(record, { maxLength: 20 }),
        fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1 }),
        (records, cuts) => {
          const sealer = new RecordSealer(secret)
          const wire = Buffer.concat(records.map((r) => sealer.seal(r.kind, r.lane, r.plain)))
          const { it: sut, opened } = opener()
          for (let at = 0, i = 0; at < wire.length; i++) {
            const length = cuts[i % cuts.length]!
            sut.push(wire.subarray(at, at + length))
            at += length
          }
          expect(opened).toEqual(
            records.map(({ kind, lane, plain }) => ({
              kind,
              lane,
              plain: Buffer.from(plain).toString("hex")
            }))
          )
        }
      )
    )
  })

  it("of bytes in several places are those of the same bytes in one", () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 20_000 }), { maxLength: 6 }),
        fc.nat(255),
        (parts, kind) => {
          const [one, other] = [new RecordSealer(secret), new RecordSealer(secret)]
          for (let i = 0; i < 2; i++) {
            const pieces = one.sealParts(kind, 5, parts)
            expect(Buffer.concat(pieces).equals(other.seal(kind, 5, Buffer.concat(parts)))).toBe(
              true
            )
          }
        }
      )
    )
  })

  it("do not open when any bit was changed", () => {
    const wire = three()[0]!
    for (let bit = 0; bit < wire.length * 8; bit++) {
      const altered = Buffer.from(wire)
      altered[bit >> 3]! ^= 1 << (bit & 7)
      const { it: sut, opened } = opener()
      let failed = false
      try {
        // What follows makes up for a length that was made longer.
        sut.push(Buffer.concat([altered, Buffer.alloc(2 * maxRecordBytes)]))
      } catch (error) {
        failed = error instanceof RecordError
      }
      expect({ bit, failed, opened }).toEqual({ bit, failed: true, opened: [] })
    }
  })

  it("do not open out of turn, twice, or with a record missing before", () => {
    const [one, two, third] = three()
    for (const wire of [[two], [one, one], [one, third], [one, third, two]]) {
      const { it: sut } = opener()
      expect(() => {
        for (const bytes of wire) sut.push(bytes!)
      }).toThrow(RecordError)
    }
  })

  it("do not open with the key of the other direction, or of another connection", () => {
    const { dialled, answered } = recordSecrets(randomBytes(32), randomBytes(32))
    const wire = new RecordSealer(dialled).seal(0, 0, Buffer.from("x"))
    expect(() => opener(answered).it.push(wire)).toThrow(RecordError)
    expect(() => opener().it.push(wire)).toThrow(RecordError)
    const same = opener(dialled)
    same.it.push(wire)
    expect(same.opened).toHaveLength(1)
  })

  it("never look the same twice, and change their key as they go on", () => {
    const sealer = new RecordSealer(secret, 10)
    const opened: Array<string> = []
    const sut = new RecordOpener(secret, (_kind, _lane, plain) => opened.push(`${plain}`), 10)
    const stuck = new RecordOpener(secret, () => undefined)
    const seen = new Set<string>()
    for (let i = 1; i <= 105; i++) {
      const wire = sealer.seal(0, 0, Buffer.from("same"))
      sut.push(wire)
      if (i <= 10) stuck.push(wire)
      if (i === 11) expect(() => stuck.push(wire)).toThrow(RecordError)
      seen.add(wire.toString("latin1", recordHeader))
    }
    expect(seen.size).toBe(105)
    expect(opened).toEqual(new Array<string>(105).fill("same"))
  })

  it("of a length that cannot be are refused before they have come", () => {
    for (const length of [0, 20, maxRecordBytes + 22, 0xff_ffff]) {
      const { it: sut } = opener()
      const header = Buffer.alloc(recordHeader)
      header.writeUIntBE(length, 0, 3)
      expect(() => sut.push(header), `${length}`).toThrow(RecordError)
    }
  })

  it("carry up to their limit", () => {
    const { it: sut, opened } = opener()
    const plain = randomBytes(maxRecordBytes)
    sut.push(new RecordSealer(secret).seal(0, 0, plain))
    expect(opened[0]?.plain).toBe(plain.toString("hex"))
  })
})
