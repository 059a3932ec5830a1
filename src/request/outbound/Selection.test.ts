import { describe, expect, it } from "vitest"
import { endpoints, now, type Trouble } from "../../testing/TroubledEndpoints.ts"
import type { EndpointState } from "./EndpointState.ts"
import { explainNone, select } from "./Selection.ts"

const chosen = (all: ReadonlyArray<EndpointState>, at = now) =>
  select(all, at)
    .candidates.all.map(({ key }) => key[0])
    .join("")

const fine: Trouble = {}

describe("Selection", () => {
  it.each<{ why: string; all: ReadonlyArray<Trouble>; expected: string }>([
    { why: "all are fine", all: [fine, fine], expected: "ab" },
    { why: "suspects still answer", all: [{ member: "suspect" }, fine], expected: "ab" },
    { why: "unhealthy", all: [{ healthy: false }, fine], expected: "b" },
    { why: "draining", all: [fine, { draining: true }], expected: "a" },
    { why: "dead", all: [{ member: "dead" }, fine, fine], expected: "bc" },
    { why: "link down", all: [{ down: true }, fine], expected: "b" },
    { why: "our own is never out of reach", all: [{ member: "dead", local: true }], expected: "a" },
    { why: "ejected", all: [{ ejected: 2_000 }, fine], expected: "b" },
    { why: "ejection over", all: [{ ejected: 1_000 }, fine], expected: "ab" },
    { why: "circuit open", all: [{ open: 2_000 }, fine], expected: "b" },
    { why: "circuit to be probed", all: [{ open: 1_000 }, fine], expected: "ab" },
    { why: "all links are down: try", all: [{ down: true }, { member: "dead" }], expected: "ab" },
    {
      why: "links are down but where the circuit is open: try",
      all: [{ open: 2_000 }, { down: true }],
      expected: "b"
    },
    {
      why: "dead ones are no reason to panic",
      all: [{ down: true }, { down: true }, fine, { ejected: 2_000 }],
      expected: "c"
    },
    { why: "half are ejected: no panic yet", all: [{ ejected: 2_000 }, fine], expected: "b" },
    {
      why: "more than half are ejected: panic",
      all: [{ ejected: 2_000 }, { ejected: 2_000 }, fine],
      expected: "abc"
    },
    {
      why: "the one in use is no better: panic",
      all: [{ ejected: 2_000 }, { spared: 2_000 }],
      expected: "ab"
    },
    {
      why: "it is well after all",
      all: [{ ejected: 2_000 }, { spared: 1_000 }],
      expected: "b"
    },
    {
      why: "half of those in use are well: no panic",
      all: [{ ejected: 2_000 }, { spared: 2_000 }, fine],
      expected: "bc"
    },
    {
      why: "most of those in use are unwell: panic",
      all: [{ ejected: 2_000 }, { spared: 2_000 }, { spared: 2_000 }, fine],
      expected: "abcd"
    },
    {
      why: "all are unwell and none is out: nothing to use besides",
      all: [{ spared: 2_000 }, { spared: 2_000 }],
      expected: "ab"
    },
    {
      why: "panic for those in use spares open circuits too",
      all: [{ ejected: 2_000 }, { spared: 2_000 }, { open: 2_000 }],
      expected: "ab"
    },
    { why: "all are ejected: panic", all: [{ ejected: 2_000 }], expected: "a" },
    {
      why: "panic spares open circuits",
      all: [{ ejected: 2_000 }, { open: 2_000 }, { open: 2_000 }],
      expected: "a"
    },
    {
      why: "panic spares unhealthy ones",
      all: [{ ejected: 2_000 }, { healthy: false }],
      expected: "a"
    },
    { why: "all unhealthy", all: [{ healthy: false }, { healthy: false }], expected: "" },
    { why: "all draining", all: [{ draining: true }], expected: "" },
    { why: "all circuits open", all: [{ open: 2_000 }, { open: 3_000 }], expected: "" },
    { why: "none at all", all: [], expected: "" }
  ])("$why → '$expected'", ({ all, expected }) => {
    expect(chosen(endpoints(...all))).toBe(expected)
  })

  it("says until when it holds", () => {
    const all = endpoints({ ejected: 5_000 }, { open: 3_000 }, fine, fine)
    expect(select(all, now).validUntil).toBe(3_000)
    expect(select(all, 3_000).validUntil).toBe(5_000)
    expect(select(all, 5_000).validUntil).toBe(Number.POSITIVE_INFINITY)
    expect(chosen(all, 5_000)).toBe("abcd")
  })

  it("holds until an endpoint in use counts as well again", () => {
    const all = endpoints({ ejected: 5_000 }, { spared: 4_000 })
    expect(select(all, now)).toMatchObject({ panic: true, validUntil: 4_000 })
    expect(select(all, 4_000)).toMatchObject({ panic: false, validUntil: 5_000 })
  })

  it("does not let two requests probe", () => {
    const all = endpoints({ open: 900 }, fine)
    expect(chosen(all)).toBe("ab")
    all[0]!.breaker?.admit(now)
    expect(chosen(all)).toBe("b")
  })

  it.each<{ all: ReadonlyArray<Trouble>; words: string }>([
    { all: [], words: "it has no endpoints" },
    { all: [{ healthy: false }], words: "of 1 endpoint 1 fails its health check" },
    {
      all: [{ healthy: false }, { draining: true }, { open: 1_800 }],
      words:
        "of 3 endpoints 1 fails its health check, 1 is draining, 1 has an open circuit (next probe in 800 ms)"
    }
  ])("says why there is none: $words", ({ all, words }) => {
    expect(explainNone(endpoints(...all), now)).toBe(words)
  })
})
