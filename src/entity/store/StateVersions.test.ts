import { Either, Schema } from "effect"
import * as fc from "fast-check"
import { describe, expect, expectTypeOf, it } from "vitest"
import { type StateVersions, stateOf } from "./StateVersions.ts"

const V1 = Schema.Struct({ items: Schema.Array(Schema.String) })
const V2 = Schema.Struct({ counts: Schema.Map({ key: Schema.String, value: Schema.Int }) })
const V3 = Schema.Struct({ ...V2.fields, since: Schema.Date })

const one = stateOf(V1)
const two = one.next(V2, ({ items }) => {
  const counts = new Map<string, number>()
  for (const item of items) counts.set(item, (counts.get(item) ?? 0) + 1)
  return { counts }
})
const three = two.next(V3, ({ counts }) => ({ counts, since: new Date(0) }))

const saved = <A>(versions: StateVersions<A>, value: A) => Either.getOrThrow(versions.encode(value))
const text = (json: string, schema: number) => ({ bytes: new TextEncoder().encode(json), schema })

describe("an actor's state", () => {
  it("is read as it was written, in any version", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.nat()), (entries) => {
        const value = { counts: new Map(Object.entries(entries)) }
        expect(two.decode(saved(two, value))).toEqual(Either.right(value))
      })
    )
    expectTypeOf(three.decode).returns.toExtend<Either.Either<typeof V3.Type, unknown>>()
  })

  it("of an older release is migrated through every version since", () => {
    const old = saved(one, { items: ["book", "pen", "book"] })
    expect(old.schema).toBe(1)
    const expected = {
      counts: new Map([
        ["book", 2],
        ["pen", 1]
      ]),
      since: new Date(0)
    }
    expect(three.decode(old)).toEqual(Either.right(expected))
    expect(saved(three, expected).schema).toBe(3)
  })

  it.each([
    [
      "of a newer release",
      text("{}", 4),
      "state_newer",
      "saved as version 4, and this release knows 3"
    ],
    ["that is no JSON", text("{", 1), "state_unreadable", "version 1 is not JSON"],
    [
      "that is no UTF-8",
      { bytes: new Uint8Array([0xff]), schema: 1 },
      "state_unreadable",
      "version 1 is not JSON"
    ],
    ["that its Schema does not know", text('{"items":[1]}', 1), "state_unreadable", "version 1: "],
    ["of no version", text("{}", 0), "state_unreadable", "no version 0"]
  ])("%s is not read", (_, stored, code, message) => {
    const error = Either.getOrThrow(Either.flip(three.decode(stored)))
    expect(error.code).toBe(code)
    expect(error.message).toContain(message)
  })

  it("is not read when a migration throws, nor written when it is not what its Schema says", () => {
    const broken = one.next(V2, () => {
      throw new Error("no counts")
    })
    const error = Either.getOrThrow(Either.flip(broken.decode(saved(one, { items: [] }))))
    expect(error.message).toContain("the migration to version 2 failed: Error: no counts")
    const wrong = two.encode({ counts: new Map([["book", 0.5]]) })
    expect(Either.getOrThrow(Either.flip(wrong)).code).toBe("state_unreadable")
  })
})
