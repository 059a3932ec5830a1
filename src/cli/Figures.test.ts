import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { bytes, counted, firstOf, latency, rate, share, shortPeer, span } from "./Figures.ts"

describe("a list in one line", () => {
  it("says how many more there are", () => {
    expect(firstOf(["a", "b", "c"])).toBe("a, b, c")
    expect(firstOf(["a", "b", "c", "d", "e"], "; ")).toBe("a; b; c; and 2 more")
  })
})

describe("Figures", () => {
  it.each<readonly [string, string]>([
    [latency(0.4187), "0.419ms"],
    [latency(12.34), "12.3ms"],
    [latency(999.4), "999ms"],
    [latency(1_234), "1.23s"],
    [latency(null), "-"],
    [span(0), "0ms"],
    [span(999), "999ms"],
    [span(61_000), "1m1s"],
    [span(26 * 3_600_000), "1d2h"],
    [span(86_400_000 + 5_000), "1d"],
    [span(-61_000), "-1m1s"],
    [share(1), "100%"],
    [share(0.99999), "99.99%"],
    [share(0), "0.00%"],
    [share(null), "-"],
    [rate(0), "0"],
    [rate(123.44), "123.4"],
    [bytes(0), "0B"],
    [bytes(1_536), "1.5KiB"],
    [bytes(10 * 1024 * 1024), "10MiB"],
    [counted(1, "member"), "1 member"],
    [counted(0, "member"), "0 members"],
    [shortPeer("12D3KooWSGnqbwwEf24Ncwdoz3PYmjeUerdwVRE96PZem5r9MvuS"), "12D3KooW…r9MvuS"]
  ])("%s is %s", (shown, wanted) => {
    expect(shown).toBe(wanted)
  })

  it("never shows an exponent, NaN or more than eight characters", () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e9, noNaN: true }), (value) => {
        for (const text of [latency(value), bytes(Math.floor(value)), span(value)]) {
          expect(text).not.toMatch(/e[+-]|NaN|undefined/)
          expect(text.length).toBeLessThanOrEqual(9)
        }
      })
    )
  })
})
