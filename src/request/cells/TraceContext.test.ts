import fc from "fast-check"
import { describe, expect, test } from "vitest"
import {
  formatTraceparent,
  formatTracestate,
  parseTraceparent,
  parseTracestate,
  traceContextOf,
  withTraceContext
} from "./TraceContext.ts"

const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
const span = "00f067aa0ba902b7"
const valid = `00-${trace}-${span}-01`

const hex = (digits: number) =>
  fc
    .array(fc.constantFrom(..."0123456789abcdef"), { minLength: digits, maxLength: digits })
    .map((all) => all.join(""))
    .filter((text) => !/^0+$/.test(text))
const traceParent = fc.record({
  traceId: hex(32),
  spanId: hex(16),
  flags: fc.integer({ min: 0, max: 3 })
})

describe("traceparent", () => {
  test("formats what it parses", () => {
    fc.assert(
      fc.property(traceParent, (parent) => {
        expect(parseTraceparent(formatTraceparent(parent))).toEqual(parent)
      })
    )
  })

  test("flags it does not define are read and not written", () => {
    const parent = parseTraceparent(`00-${trace}-${span}-ff`)
    expect(parent?.flags).toBe(0xff)
    expect(formatTraceparent(parent!)).toBe(`00-${trace}-${span}-03`)
  })

  test.each([
    ["empty", ""],
    ["version ff", `ff-${trace}-${span}-01`],
    ["version 00 with more", `${valid}-more`],
    ["a later version that does not begin like 00", `01-${trace}-${span}-01more`],
    ["upper case", valid.toUpperCase()],
    ["zero trace id", `00-${"0".repeat(32)}-${span}-01`],
    ["zero span id", `00-${trace}-${"0".repeat(16)}-01`],
    ["short trace id", `00-${trace.slice(1)}-${span}-01`],
    ["no flags", `00-${trace}-${span}`],
    ["one flag digit", `00-${trace}-${span}-1`],
    ["not hex", `00-${trace.replace("4", "g")}-${span}-01`],
    ["space around", ` ${valid}`],
    ["new line after", `${valid}\n`]
  ])("refuses %s", (_, text) => {
    expect(parseTraceparent(text)).toBeUndefined()
  })

  test("takes a later version that begins like 00", () => {
    expect(parseTraceparent(`cc-${trace}-${span}-01-what-comes`)?.traceId).toBe(trace)
    expect(parseTraceparent(`cc-${trace}-${span}-01`)?.spanId).toBe(span)
  })

  test("never throws, and takes only what formats back to the same ids", () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.constant(valid)),
        fc.nat(60),
        fc.string(),
        (text, at, more) => {
          const mutated = text.slice(0, at) + more + text.slice(at + more.length)
          const parent = parseTraceparent(mutated)
          if (parent === undefined) return
          expect(mutated.slice(3, 52)).toBe(`${parent.traceId}-${parent.spanId}`)
        }
      )
    )
  })
})

const key = fc
  .tuple(
    fc.constantFrom(..."abcxyz"),
    fc.array(fc.constantFrom(..."abc019_-*/"), { maxLength: 20 }).map((all) => all.join(""))
  )
  .map(([first, rest]) => first + rest)
const value = fc
  .string({ minLength: 1, maxLength: 40 })
  .filter((text) => /^[\x20-\x2b\x2d-\x3c\x3e-\x7e]*$/.test(text) && text.trim() === text)
const entries = fc.uniqueArray(fc.record({ key, value }), {
  maxLength: 32,
  selector: (entry) => entry.key
})

describe("tracestate", () => {
  test("parses what it formats", () => {
    fc.assert(
      fc.property(entries, (list) => {
        expect(parseTracestate(formatTracestate(list))).toEqual(list)
      })
    )
  })

  test("allows blanks around members, empty members and tenants", () => {
    expect(parseTracestate(" a=1 ,,\tt1@sys=x y, ")).toEqual([
      { key: "a", value: "1" },
      { key: "t1@sys", value: "x y" }
    ])
  })

  test.each([
    ["a key twice", "a=1,a=2"],
    ["an upper-case key", "A=1"],
    ["no value", "a="],
    ["no key", "=1"],
    ["no equals sign", "a"],
    ["an equals sign in the value", "a=1=2"],
    ["a control character", "a=\u0001"],
    ["33 members", Array.from({ length: 33 }, (_, i) => `k${i}=1`).join(",")],
    ["a key of 257", `${"a".repeat(257)}=1`],
    ["a value of 257", `a=${"1".repeat(257)}`]
  ])("refuses %s", (_, text) => {
    expect(parseTracestate(text)).toBeUndefined()
  })
})

describe("fields", () => {
  test("names are found in any case; several tracestate fields are one list", () => {
    const context = traceContextOf([
      "TraceParent",
      valid,
      "x",
      "y",
      "tracestate",
      "a=1",
      "Tracestate",
      "b=2"
    ])
    expect(context?.parent).toEqual({ traceId: trace, spanId: span, flags: 1 })
    expect(context?.state).toBe("a=1,b=2")
  })

  test("two traceparents are none, and so is a malformed one", () => {
    expect(traceContextOf(["traceparent", valid, "traceparent", valid])).toBeUndefined()
    expect(traceContextOf(["traceparent", "00-x", "tracestate", "a=1"])).toBeUndefined()
    expect(traceContextOf(["tracestate", "a=1"])).toBeUndefined()
  })

  test("a tracestate that is not valid is dropped, the traceparent stays", () => {
    expect(traceContextOf(["traceparent", valid, "tracestate", "A=1"])?.state).toBe("")
  })

  test("a new context replaces the old and leaves the rest in order", () => {
    fc.assert(
      fc.property(traceParent, entries, (parent, list) => {
        const before = [
          "Accept",
          "*/*",
          "Traceparent",
          valid,
          "tracestate",
          "old=1",
          "Cookie",
          "a=b"
        ]
        const state = formatTracestate(list)
        const after = withTraceContext(before, { parent, state })
        expect(after.slice(0, 4)).toEqual(["Accept", "*/*", "Cookie", "a=b"])
        expect(traceContextOf(after)).toEqual({ parent, state })
        expect(after.length).toBe(state === "" ? 6 : 8)
      })
    )
  })
})
