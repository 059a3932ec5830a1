/** Where a call's retries go: to those it has not tried yet, while there are any. */
import { describe, expect, it } from "vitest"
import type { PolicyInput } from "../../schema/PolicySchema.ts"
import { endpointView, Fixture, payments } from "../../testing/OutboundFixture.ts"
import { seededRandom } from "../../testing/simulator/EventQueue.ts"

const kinds = ["p2c_ewma", "least_request", "round_robin"] as const
const some = (letters: string) => [...letters].map((letter) => endpointView(letter))
const inTurn: PolicyInput = { balance: { kind: "round_robin" } }
/** Nothing but the choice of endpoints decides. */
const alone: PolicyInput = {
  breaker: "off",
  ejection: "off",
  retry: { budget: { ratio: 10, minPerSecond: 100 } }
}

/**
 * `count` calls, so many at a time; whoever is in `refusing` has nobody listening. Gives how many
 * were answered well.
 */
const calls = (mesh: Fixture, count: number, refusing: string, atOnce = 1): number => {
  let well = 0
  let answered = mesh.sent.length
  for (let begun = 0; begun < count; begun += atOnce) {
    const all = Array.from({ length: atOnce }, () => mesh.request())
    // Retries come after back-off, or at once while the answers are given.
    do {
      for (; answered < mesh.sent.length; answered++) {
        const sent = mesh.sent[answered]
        if (refusing.includes(sent?.peer[0] ?? "")) sent?.fault("upstream_connect", false)
        else sent?.respond(200)
      }
      mesh.ticker.advance(300)
    } while (answered < mesh.sent.length)
    for (const { receiver } of all) if (receiver.head?.status === 200) well++
  }
  return well
}

describe.each(kinds)("a call's retries under %s", (kind) => {
  const make = (letters: string, change: PolicyInput = {}) =>
    new Fixture({ ...alone, balance: { kind }, ...change }, some(letters), {
      random: seededRandom(7)
    })

  it.each([
    { refusing: "ab", atOnce: 1 },
    { refusing: "bc", atOnce: 1 },
    { refusing: "ac", atOnce: 2 },
    { refusing: "ab", atOnce: 5 },
    { refusing: "bc", atOnce: 8 }
  ])("reach the one of three that is well ($refusing are not, $atOnce calls at once)", (row) => {
    expect(calls(make("abc"), 200, row.refusing, row.atOnce)).toBe(200)
  })

  it("go to each endpoint once before any is tried again", () => {
    const mesh = make("abcd", {
      retry: { attempts: 7, budget: { ratio: 10, minPerSecond: 100 } }
    })
    for (let i = 0; i < 50; i++) {
      const before = mesh.sent.length
      calls(mesh, 1, "abcd")
      const trail = mesh.sent.slice(before).map(({ peer }) => peer[0])
      expect(trail).toHaveLength(8)
      expect(new Set(trail.slice(0, 4)).size).toBe(4)
      // Then anybody but the one tried last.
      for (let j = 4; j < 8; j++) expect(trail[j]).not.toBe(trail[j - 1])
    }
  })
})

describe("taking turns", () => {
  /** Endpoints in the order of the calls' first attempts. */
  const firsts = (mesh: Fixture): string =>
    mesh.observer.all.map(({ endpoints }) => endpoints[0]?.[0]).join("")
  const count = (text: string, letter: string): number => text.split(letter).length - 1

  it("goes on evenly while two of three refuse: nobody's turn is lost", () => {
    const mesh = new Fixture({ ...inTurn, ...alone }, some("abc"))
    calls(mesh, 300, "ab")
    for (const letter of "abc") {
      expect(Math.abs(count(firsts(mesh), letter) - 100)).toBeLessThanOrEqual(1)
    }
  })

  it.each([
    { refusing: "a", letters: "abc" },
    { refusing: "ab", letters: "abc" },
    { refusing: "abc", letters: "abcd" }
  ])("owes nothing afterwards to those that were passed over ($refusing)", (row) => {
    const mesh = new Fixture({ ...inTurn, ...alone }, some(row.letters))
    calls(mesh, 200, row.refusing)
    const before = mesh.observer.all.length
    calls(mesh, 10 * row.letters.length, "")
    const turns = firsts(mesh).slice(before)
    for (const letter of row.letters) {
      expect(Math.abs(count(turns, letter) - 10)).toBeLessThanOrEqual(1)
      // Spread out from the start: no run of turns, nobody waits for two rounds.
      expect(turns).not.toContain(letter.repeat(3))
      expect(turns.slice(0, 2 * row.letters.length)).toContain(letter)
    }
  })

  it("gives the retries of one to all others alike", () => {
    const mesh = new Fixture({ ...inTurn, ...alone }, some("abcd"))
    calls(mesh, 300, "a")
    const all = mesh.sent.map(({ peer }) => peer[0]).join("")
    for (const letter of "bcd") expect(Math.abs(count(all, letter) - 100)).toBeLessThanOrEqual(3)
  })
})

describe("Retry-After of one endpoint", () => {
  const on5xx: PolicyInput = {
    ...inTurn,
    retry: { attempts: 3, on: ["5xx", "rate_limited"] },
    breaker: "off",
    ejection: "off"
  }
  const busy = (mesh: Fixture, seconds: string | undefined, status = 503): void =>
    mesh.last.respond(status, "", seconds === undefined ? [] : ["Retry-After", seconds])
  /** The longest back-off there is by default. */
  const backoff = 260

  it.each([
    ["2", 503],
    ["60", 503],
    ["60", 429],
    ["Tue, 01 Jan 2030 01:00:00 GMT", 503]
  ])("(%s, with %i) does not keep a call from another endpoint", (seconds, status) => {
    const mesh = new Fixture(on5xx, some("ab"))
    const { receiver } = mesh.request()
    busy(mesh, seconds, status)
    mesh.ticker.advance(backoff)
    expect(mesh.trail).toBe("ab")
    mesh.last.respond(200)
    expect(receiver.head?.status).toBe(200)
  })

  it("costs no call, whatever the balancer", () => {
    for (const kind of kinds) {
      const policy: PolicyInput = { ...alone, retry: { on: ["5xx"] }, balance: { kind } }
      const mesh = new Fixture(policy, some("abc"), { random: seededRandom(11) })
      for (let i = 0; i < 300; i++) {
        const { receiver } = mesh.request()
        if (mesh.last.peer.startsWith("a")) busy(mesh, "60")
        else mesh.last.respond(200)
        mesh.ticker.advance(backoff)
        if (receiver.head === undefined) mesh.last.respond(200)
        expect(receiver.head?.status).toBe(200)
      }
      expect(mesh.outbound.endpoints(payments)[0]?.failures).toBeGreaterThan(0)
    }
  })

  it("of a node's own making counts alike", () => {
    const mesh = new Fixture(inTurn, some("ab"))
    mesh.request()
    mesh.last.fault("overflow", false, 60)
    expect(mesh.trail).toBe("ab")
  })

  it("is kept when nobody else is left", () => {
    const mesh = new Fixture(on5xx, some("ab"))
    mesh.request()
    busy(mesh, "3")
    mesh.ticker.advance(backoff)
    busy(mesh, "2")
    // Both ask for time: the one that asks for less gets the call, when it said.
    mesh.ticker.advance(1_980)
    expect(mesh.trail).toBe("ab")
    mesh.ticker.advance(20)
    expect(mesh.trail).toBe("abb")
  })

  it("counts from when it was said", () => {
    const mesh = new Fixture(on5xx, some("ab"))
    mesh.request()
    busy(mesh, "1")
    mesh.ticker.advance(backoff)
    mesh.ticker.advance(2_000)
    busy(mesh, "3")
    mesh.ticker.advance(backoff)
    expect(mesh.trail).toBe("aba")
  })

  it("is kept though it means the one tried last", () => {
    const mesh = new Fixture(on5xx, some("ab"))
    mesh.request()
    busy(mesh, "4")
    mesh.ticker.advance(backoff)
    busy(mesh, undefined)
    mesh.ticker.advance(backoff)
    expect(mesh.trail).toBe("abb")
  })

  it("is passed on when it is too long, and nobody else is left", () => {
    const mesh = new Fixture(on5xx, some("ab"))
    const { receiver } = mesh.request()
    busy(mesh, "60")
    mesh.ticker.advance(backoff)
    busy(mesh, "60")
    expect(receiver.head?.status).toBe(503)
    expect(mesh.sent).toHaveLength(2)
    expect(mesh.ticker.wheel.size).toBe(0)
  })

  it("holds for the call that was told, not for others", () => {
    const mesh = new Fixture(on5xx, some("ab"))
    mesh.request()
    busy(mesh, "60")
    mesh.request("POST")
    mesh.request("POST")
    expect(mesh.sent.map(({ peer }) => peer[0])).toEqual(["a", "b", "a"])
  })

  it("gives way to an endpoint that comes meanwhile", () => {
    const mesh = new Fixture(on5xx, some("a"))
    mesh.request()
    busy(mesh, "2")
    mesh.show(some("ab"))
    mesh.ticker.advance(2_000)
    expect(mesh.trail).toBe("ab")
  })
})

describe("the wait before a retry", () => {
  /** When it is over, for an attempt that failed at `at`. */
  const over = (at: number, ceiling: number, random: number): number => {
    const backoff = { base: `${ceiling}ms`, max: `${ceiling}ms` } as const
    const policy: PolicyInput = { ...inTurn, retry: { backoff } }
    const mesh = new Fixture(policy, some("a"), { random: () => random })
    mesh.ticker.advance(at)
    mesh.request()
    mesh.last.fault("upstream_connect", false)
    while (mesh.sent.length < 2) mesh.ticker.advance(1)
    return mesh.ticker.now()
  }

  it.each([
    { at: 0, ceiling: 250, random: 0.5, end: 130 },
    { at: 7, ceiling: 25, random: 0.2, end: 20 },
    { at: 7, ceiling: 25, random: 0.9, end: 30 },
    // Below the grid of 10 ms the jitter is lost: at its next line, or the one after.
    { at: 1, ceiling: 4, random: 0.1, end: 10 },
    { at: 1, ceiling: 4, random: 0.9, end: 10 },
    { at: 8, ceiling: 4, random: 0.9, end: 20 },
    { at: 8, ceiling: 4, random: 0.25, end: 10 }
  ])("of $random of $ceiling ms, at $at, is over at $end", ({ at, ceiling, end, random }) => {
    expect(over(at, ceiling, random)).toBe(end)
  })

  it("ends evenly on the lines of the grid", () => {
    const ends = Array.from({ length: 100 }, (_, i) => over(0, 25, (i + 0.5) / 100))
    expect([10, 20, 30].map((end) => ends.filter((one) => one === end).length)).toEqual([
      40, 40, 20
    ])
  })
})
