import { describe, expect, it } from "@effect/vitest"
import { type LinkRefusal, linkRefusals } from "../wire/LinkPreface.ts"
import { moreHopeful, RefusalSteps } from "./RefusalSteps.ts"

const walk = (codes: ReadonlyArray<LinkRefusal>, wait = 0) => {
  const steps = new RefusalSteps()
  return codes.map((code) => steps.after(code, wait))
}

const times = (count: number, code: LinkRefusal): ReadonlyArray<LinkRefusal> =>
  new Array<LinkRefusal>(count).fill(code)

describe("a dialler that is refused", () => {
  it("waits a little for a session to become known, then asks for another, twice", () => {
    const round = [20, 50, 100, "renew"]
    expect(walk(times(12, "unknown_session"))).toEqual([...round, ...round, 20, 50, 100, undefined])
  })

  it("asks for another session at once when its own has ended", () => {
    expect(walk(times(3, "session_ended"))).toEqual(["renew", "renew", undefined])
    expect(walk(["not_genuine", "unknown_session"])).toEqual(["renew", 20])
  })

  it("goes on to another thread at once, eight times, and says how often it has", () => {
    const steps = new RefusalSteps()
    for (let i = 0; i < 8; i++) {
      expect(steps.tries).toBe(i)
      expect(steps.after("other_thread", 0)).toBe(0)
    }
    expect(steps.tries).toBe(8)
    expect(steps.after("other_thread", 0)).toBeUndefined()
  })

  it("comes back to a busy peer when it was told to, within bounds, and not for ever", () => {
    expect(walk(["busy"], 300)).toEqual([300])
    expect(walk(["busy"], 0)).toEqual([20])
    expect(walk(["busy"], 4_000_000_000)).toEqual([5_000])
    expect(walk(times(17, "busy"), 100).slice(-2)).toEqual([100, undefined])
  })

  it("gives up where another try would be no other", () => {
    for (const code of ["version", "malformed", "replayed"] as const) {
      expect(walk([code])).toEqual([undefined])
    }
  })

  it("ends, whatever it is told", () => {
    for (const code of linkRefusals) expect(walk(times(40, code)).at(-1)).toBeUndefined()
  })

  it("of several addresses follows the one that leads on", () => {
    const codes = linkRefusals.map((code) => ({ code })).sort(moreHopeful)
    expect(codes.map(({ code }) => code).slice(0, 3)).toEqual([
      "other_thread",
      "busy",
      "session_ended"
    ])
  })
})
