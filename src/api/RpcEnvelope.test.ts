import { Option, Schema } from "effect"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { asAnswer, asRequest } from "./RpcEnvelope.ts"

/** What is read by hand, as a Schema says it. */
const Request = Schema.Struct({
  _tag: Schema.Literal("Request"),
  id: Schema.String,
  tag: Schema.String,
  payload: Schema.Unknown,
  headers: Schema.Array(Schema.Tuple(Schema.String, Schema.String)),
  traceId: Schema.optional(Schema.String),
  spanId: Schema.optional(Schema.String),
  sampled: Schema.optional(Schema.Boolean)
})
const Answer = Schema.Union(
  Schema.Struct({
    _tag: Schema.Literal("Chunk"),
    requestId: Schema.String,
    values: Schema.NonEmptyArray(Schema.Unknown)
  }),
  Schema.Struct({ _tag: Schema.Literal("Exit"), requestId: Schema.String, exit: Schema.Unknown })
)

const wrong = fc.constantFrom<unknown>(undefined, null, 1, true, "text", [], [1], {}, new Map())
const pair = fc.oneof(fc.tuple(fc.string(), fc.string()), fc.constantFrom(["a"], ["a", 1], "ab"))

/** Some of the fields, each as it is to be or wrong, and others beside them. */
const messageOf = (fields: Readonly<Record<string, fc.Arbitrary<unknown>>>) =>
  fc.record(
    {
      ...Object.fromEntries(
        Object.entries(fields).map(([name, right]) => [
          name,
          fc.oneof({ weight: 12, arbitrary: right }, { weight: 1, arbitrary: wrong })
        ])
      ),
      other: fc.string()
    },
    { requiredKeys: [] }
  )

const requests = messageOf({
  _tag: fc.constant("Request"),
  id: fc.string(),
  tag: fc.string(),
  payload: fc.anything(),
  headers: fc.array(pair, { maxLength: 3 }),
  traceId: fc.string(),
  spanId: fc.string(),
  sampled: fc.boolean()
})
const answers = messageOf({
  _tag: fc.constantFrom("Chunk", "Exit"),
  requestId: fc.string(),
  values: fc.array(fc.anything(), { maxLength: 3 }),
  exit: fc.anything()
})

/** Both find it to be the same: `undefined` where it is none. */
const same = <A, I>(read: (message: unknown) => unknown, schema: Schema.Schema<A, I>) => {
  const decode = Schema.decodeUnknownOption(schema)
  let found = 0
  return {
    check: (message: unknown) => {
      const expected = Option.getOrUndefined(decode(message))
      if (expected !== undefined) found++
      expect(read(message)).toEqual(expected)
    },
    /** It has been something often enough. */
    found: () => found
  }
}

describe("what stands around the parts of an RPC", () => {
  it("is a request where its Schema says so", () => {
    const { check, found } = same(asRequest, Request)
    fc.assert(fc.property(requests, check), { numRuns: 1_000 })
    fc.assert(fc.property(wrong, check))
    expect(found()).toBeGreaterThan(5)
  })

  it("is an answer where its Schema says so", () => {
    const { check, found } = same(asAnswer, Answer)
    fc.assert(fc.property(answers, check), { numRuns: 1_000 })
    fc.assert(fc.property(wrong, check))
    expect(found()).toBeGreaterThan(5)
  })

  it("has nothing in it that is not read", () => {
    const request = { _tag: "Request", id: "0", tag: "Say", payload: 1, headers: [["a", "b"]] }
    expect(asRequest({ ...request, more: true })).toEqual(request)
    expect(asAnswer({ _tag: "Exit", requestId: "0", exit: 1, more: true })).toEqual({
      ...{ _tag: "Exit", requestId: "0", exit: 1 }
    })
  })
})
