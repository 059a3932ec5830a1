/** Weights are shares of traffic, whatever the concurrency, as long as programs keep up. */
import { describe, expect, it } from "vitest"
import type { PolicyInput } from "../../schema/PolicySchema.ts"
import { exponential, OutboundSimulation, well } from "../../testing/OutboundSimulation.ts"

const kinds = ["p2c_ewma", "least_request", "round_robin"] as const
const twoChoices = ["p2c_ewma", "least_request"] as const
const seed = 20_260_301
/** Many times what the balancers remember, so that what is left is bias and not chance. */
const requests = 20_000
const policy = (kind: (typeof kinds)[number]): PolicyInput => ({ balance: { kind }, retry: "off" })

const sum = (numbers: ReadonlyArray<number>): number => numbers.reduce((a, b) => a + b, 0)
const entitled = (weights: ReadonlyArray<number>) => weights.map((weight) => weight / sum(weights))

/** Requests and weight of all endpoints that weigh the same: the weights say no more than that. */
const classes = (weights: ReadonlyArray<number>, counts: ReadonlyArray<number>) =>
  [...new Set(weights)].map((weight) => ({
    count: sum(counts.filter((_, index) => weights[index] === weight)),
    share: sum(weights.filter((one) => one === weight)) / sum(weights)
  }))

/** Pearson's statistic of the counts against the weights. */
const chiSquare = (weights: ReadonlyArray<number>, counts: ReadonlyArray<number>): number =>
  sum(
    classes(weights, counts).map(({ count, share }) => {
      const expected = share * sum(counts)
      return (count - expected) ** 2 / expected
    })
  )

/** What chance exceeds once in a thousand, for that many classes (degrees of freedom + 1). */
const critical: Readonly<Record<number, number>> = { 2: 10.83, 3: 13.82, 4: 16.27 }

const expectShares = (simulation: OutboundSimulation, weights: ReadonlyArray<number>): void => {
  const counts = simulation.counts()
  const different = new Set(weights).size
  expect(chiSquare(weights, counts)).toBeLessThan(critical[different] ?? 0)
  for (const { count, share } of classes(weights, counts)) {
    expect(Math.abs(count / sum(counts) - share)).toBeLessThan(0.02)
  }
  // Those that weigh the same differ only by what two choices make of their latencies.
  simulation.shares().forEach((share, index) => {
    expect(Math.abs(share - entitled(weights)[index]!)).toBeLessThan(0.035)
  })
}

const weightings = [
  [1, 9],
  [1, 2],
  [1, 1, 2],
  [5, 1, 1],
  [900, 100, 500, 300]
]

describe.each(kinds)(`the weights of equal programs under ${"%s"} (seed ${seed})`, (kind) => {
  for (const weights of weightings) {
    it.each([1, 8, 32])(`${weights.join(":")} hold with %i callers`, (callers) => {
      const mean = 20
      const programs = weights.map((weight) => well(mean, weight))
      const simulation = new OutboundSimulation(policy(kind), programs, seed)
      expectShares(simulation.closed(callers, (requests * mean) / callers), weights)
    })

    it.each([
      { mean: 2, perSecond: 60 },
      { mean: 200, perSecond: 60 },
      { mean: 20, perSecond: 2 }
    ])(`${weights.join(":")} hold at $perSecond/s of $mean ms`, ({ mean, perSecond }) => {
      const programs = weights.map((weight) => well(mean, weight))
      const simulation = new OutboundSimulation(policy(kind), programs, seed)
      expectShares(simulation.open(perSecond, (requests * 1_000) / perSecond), weights)
    })
  }
})

describe("a stall of a moment", () => {
  it.each([1, 8])("moves no traffic between different weights (%i callers)", (callers) => {
    const programs = [900, 100].map((weight, index) => {
      let answers = 0
      return {
        weight,
        answer: (random: () => number) => ({
          status: 200,
          // The first answers wait for connections, and later one of 500 for a busy machine.
          after:
            index === 0 && (++answers < 3 || answers % 500 === 0) ? 300 : exponential(3, random)
        })
      }
    })
    const simulation = new OutboundSimulation(policy("p2c_ewma"), programs, seed)
    const light = simulation.closed(callers, 30_000).shares()[1] ?? 0
    expect(Math.abs(light - 0.1)).toBeLessThan(0.02)
  })
})

describe.each(twoChoices)("weights give way under %s", (kind) => {
  /** The first one takes ten times as long as the others. */
  const oneSlow = (weights: ReadonlyArray<number>) =>
    new OutboundSimulation(
      policy(kind),
      weights.map((weight, index) => well(index === 0 ? 200 : 20, weight)),
      seed
    )

  it.each([[[1, 9]], [[1, 2]], [[2, 1]], [[1, 1, 2]], [[2, 1, 1]], [[1, 5, 5]]])(
    "%j: an endpoint ten times as slow as the others gets far less than its share",
    (weights) => {
      for (const simulation of [
        oneSlow(weights).closed(32, 20_000),
        oneSlow(weights).open(400, 20_000)
      ]) {
        const factor = kind === "p2c_ewma" ? 0.35 : 0.75
        expect(simulation.shares()[0]).toBeLessThan(factor * entitled(weights)[0]!)
        expect(simulation.shares()[0]).toBeGreaterThan(0)
      }
    }
  )

  it("when the endpoint that is to get most of it hangs", () => {
    const programs = [900, 100].map((weight, index) => ({
      weight,
      answer: (random: () => number) => ({
        status: 200,
        after: index === 0 ? 30_000 : exponential(20, random)
      })
    }))
    const simulation = new OutboundSimulation(policy(kind), programs, seed).open(100, 10_000)
    expect(simulation.shares(3_000)[0]).toBeLessThan(0.3)
  })
})
