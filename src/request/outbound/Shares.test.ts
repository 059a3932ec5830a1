/**
 * What an endpoint's failures do to its share of traffic, without breaker and ejection: a penalty
 * in proportion to how much it fails, relative to the others, and never for long once it is over.
 */
import { describe, expect, it } from "vitest"
import type { PolicyInput } from "../../schema/PolicySchema.ts"
import { endpointView, Fixture, payments } from "../../testing/OutboundFixture.ts"
import {
  OutboundSimulation,
  type SimulatedProgram,
  steady,
  well
} from "../../testing/OutboundSimulation.ts"
import { seededRandom } from "../../testing/simulator/EventQueue.ts"

const seeds = [1, 2, 3]
const twoChoices = ["p2c_ewma", "least_request"] as const
const bare = (kind: (typeof twoChoices)[number]): PolicyInput => ({
  balance: { kind },
  retry: "off",
  breaker: "off",
  ejection: "off"
})

/** Always 200 in about that time. */
const good = (mean: number, weight = 100): SimulatedProgram => ({
  weight,
  answer: (random) => ({ status: 200, after: steady(mean, random) })
})

/** The same, but for a share of its requests; those are answered at once. */
const sometimes = (mean: number, share: number, status = 500): SimulatedProgram => ({
  answer: (random) =>
    random() < share ? { status, after: 1 } : { status: 200, after: steady(mean, random) }
})

/** As `good`, and from `from` to `to` this status, at once or after `after`. */
const during = (
  program: SimulatedProgram,
  status: number,
  from: number,
  to = Number.POSITIVE_INFINITY,
  after = 1
): SimulatedProgram => ({
  ...program,
  answer: (random, now) =>
    now >= from && now < to ? { status, after } : program.answer(random, now)
})

/** The same, once. */
const once = (program: SimulatedProgram, status: number, from: number, after = 1) => {
  let done = false
  const answer: SimulatedProgram["answer"] = (random, now) => {
    if (done || now < from) return program.answer(random, now)
    done = true
    return { status, after }
  }
  return { ...program, answer }
}

describe.each(twoChoices)("under %s", (kind) => {
  describe.each(seeds)("(seed %i)", (seed) => {
    const simulate = (...programs: ReadonlyArray<SimulatedProgram>) =>
      new OutboundSimulation(bare(kind), programs, seed)

    it("one 503 costs an endpoint next to nothing", () => {
      const simulation = simulate(once(good(20), 503, 20_000), good(20)).open(60, 60_000)
      for (let from = 20_000; from < 60_000; from += 5_000) {
        expect(simulation.shares(from, from + 5_000)[0]).toBeGreaterThanOrEqual(0.35)
      }
    })

    it("nor does one 503 after a time without calls", () => {
      const simulation = simulate(once(good(20), 503, 30_000), good(20)).open(60, 10_000)
      simulation.mesh.ticker.advance(30_000)
      simulation.open(60, 40_000)
      for (let from = 40_000; from < 80_000; from += 5_000) {
        expect(simulation.shares(from, from + 5_000)[0]).toBeGreaterThanOrEqual(0.35)
      }
    })

    it("an endpoint that failed once when it was seldom asked is not worse than one that only fails", () => {
      const failedOnce = once(good(20), 503, 30_000)
      const onlyFails = during(good(20), 503, 42_000)
      const simulation = simulate(failedOnce, onlyFails).open(60, 10_000)
      simulation.mesh.ticker.advance(30_000)
      simulation.open(60, 20_000)
      expect(simulation.shares(44_000, 60_000)[1]).toBeLessThan(0.15)
    })

    it("one that times out, or whose caller leaves, is not left alone for long", () => {
      const simulation = simulate(once(good(20), 504, 20_000, 1_000), good(20)).open(60, 60_000)
      expect(simulation.shares(20_000, 30_000)[0]).toBeGreaterThan(0.3)
      expect(simulation.shares(30_000, 60_000)[0]).toBeGreaterThan(0.4)
    })

    it("an endpoint that fails fast does not attract traffic from slow ones", () => {
      for (const rate of [3, 20, 60]) {
        const sick = during(good(600), 503, 30_000)
        const simulation = simulate(sick, good(600)).open(rate, 90_000)
        expect(simulation.shares(30_000, 90_000)[0]).toBeLessThan(0.1)
        expect(simulation.shares(40_000, 90_000)[0]).toBeLessThan(0.08)
      }
      // Three, of which one fails from the start; and one that weighs three quarters of all.
      const three = simulate(during(good(600), 503, 0), good(600), good(600)).open(30, 60_000)
      expect(three.shares(3_000)[0]).toBeLessThan(0.1)
      const heavy = simulate(during(good(600, 300), 503, 20_000), good(600)).open(30, 80_000)
      expect(heavy.shares(25_000)[0]).toBeLessThan(0.1)
    })

    it("fast 404s attract no more than a fair share", () => {
      for (const from of [0, 30_000]) {
        const pair = simulate(during(well(600), 404, from), well(600)).open(20, 90_000)
        expect(pair.shares(from + 5_000)[0]).toBeLessThan(0.55)
        const three = simulate(during(well(600), 404, from), well(600), well(600)).open(30, 90_000)
        expect(three.shares(from + 5_000)[0]).toBeLessThan(0.38)
        // Nor is it shunned: its answers may be right.
        expect(three.shares(from + 5_000)[0]).toBeGreaterThan(0.15)
      }
    })

    it("404s of all are answers like any other", () => {
      const even = simulate(sometimes(20, 0.3, 404), sometimes(20, 0.3, 404)).open(60, 60_000)
      expect(Math.abs(even.shares()[0]! - 0.5)).toBeLessThan(0.05)
      const slow: SimulatedProgram = {
        answer: (random) => ({ status: 404, after: steady(100, random) })
      }
      const fast: SimulatedProgram = {
        answer: (random) => ({ status: 404, after: steady(5, random) })
      }
      const uneven = simulate(slow, fast).open(60, 60_000)
      expect(uneven.shares(5_000)[0]).toBeLessThan(kind === "p2c_ewma" ? 0.05 : 0.35)
    })

    it("one failure in a hundred changes nothing", () => {
      for (const [a, b] of [
        [0.01, 0],
        [0.01, 0.01],
        [0.03, 0.03]
      ] as const) {
        const run = simulate(sometimes(20, a), sometimes(20, b)).open(60, 300_000)
        expect(Math.abs(run.shares(10_000)[0]! - 0.5)).toBeLessThan(0.05)
      }
    })

    it("what all fail alike is held against none", () => {
      const run = simulate(sometimes(20, 0.5), sometimes(20, 0.5)).open(60, 300_000)
      expect(Math.abs(run.shares(10_000)[0]! - 0.5)).toBeLessThan(0.05)
    })

    it("an endpoint that is well again gets its share back", () => {
      for (const lasting of [3_000, 30_000]) {
        const end = 30_000 + lasting
        const sick = during(good(20), 500, 30_000, end)
        const run = simulate(sick, good(20)).open(60, end + 60_000)
        expect(run.shares(end - 1_000, end)[0]).toBeLessThan(0.15)
        expect(run.shares(end + 30_000)[0]).toBeGreaterThan(0.4)
      }
    })

    it("no share falls to nothing", () => {
      const ill = during(good(20), 500, 0)
      const failing = simulate(ill, good(20)).open(60, 60_000)
      const slow = simulate(good(2_000), good(20)).open(60, 60_000)
      for (const run of [failing, slow]) {
        for (let from = 10_000; from < 60_000; from += 10_000) {
          expect(run.counts(from, from + 10_000)[0]).toBeGreaterThan(0)
        }
      }
    })

    it("a hanging endpoint is not tried again while it hangs", () => {
      const hung = during(good(20), 200, 10_000, 50_000, 40_000)
      const run = simulate(hung, good(20)).open(60, 50_000)
      // Under p2c_ewma it is forgotten meanwhile that it was as fast as the other.
      const most = kind === "p2c_ewma" ? 0.08 : 0.003
      expect(run.shares(15_000, 45_000)[0]).toBeLessThan(most)
    })

    it.each([
      { why: "an ejection", parts: { ejection: { base: "10s" }, breaker: "off" } },
      { why: "an open circuit", parts: { breaker: { open: { base: "10s", max: "10s" } } } }
    ] as const)("$why that is over is not followed by another penalty", ({ parts }) => {
      const sick = during(good(20), 500, 20_000, 24_000)
      const run = new OutboundSimulation({ ...bare(kind), ...parts }, [sick, good(20)], seed)
      run.open(60, 60_000)
      // Out for 5 to 15 s.
      expect(run.shares(23_000, 25_000)[0]).toBe(0)
      expect(run.shares(40_000, 45_000)[0]).toBeGreaterThan(0.35)
    })

    it("a response that breaks off counts as failed, though it began well", () => {
      const mesh = new Fixture(bare(kind), [endpointView("a"), endpointView("b")], {
        random: seededRandom(seed)
      })
      for (let i = 0; i < 1_000; i++) {
        mesh.request()
        mesh.ticker.advance(20)
        mesh.last.head(200)
        if (mesh.last.peer.startsWith("a")) mesh.last.fault("upstream_reset", true)
        else mesh.last.finish()
      }
      expect(mesh.trail.slice(500).split("a").length - 1).toBeLessThan(50)
    })
  })
})

describe("tunnels", () => {
  it.each(twoChoices)("are spread evenly under %s, also after a connect failure", (kind) => {
    const mesh = new Fixture(bare(kind), [endpointView("a"), endpointView("b")], {
      random: seededRandom(1)
    })
    for (let i = 0; i < 200; i++) {
      mesh.tunnel()
      mesh.ticker.advance(100)
      if (i === 20) mesh.last.fault("upstream_connect", false)
      else mesh.last.data("hello")
    }
    const inFlight = mesh.outbound.endpoints(payments).map((endpoint) => endpoint.inFlight)
    expect(Math.min(...inFlight)).toBeGreaterThan(90)
  })
})
