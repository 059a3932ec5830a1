/** One suite for every balancer: what any of them owes, and then what each does besides. */
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import type { BalancePolicy } from "../../model/Policy.ts"
import { makePolicy, type PolicyInput } from "../../schema/PolicySchema.ts"
import { seededRandom } from "../../testing/simulator/EventQueue.ts"
import { Score } from "../policy/Score.ts"
import { makeBalancer } from "./Balancer.ts"
import type { Candidate } from "./Candidate.ts"
import { Candidates } from "./Candidates.ts"

const policies: Readonly<Record<string, BalancePolicy>> = Object.fromEntries(
  (["p2c_ewma", "round_robin", "least_request"] as const).map((kind) => {
    const input: PolicyInput = { balance: { kind } }
    return [kind, makePolicy(input).balance]
  })
)

class Endpoint implements Candidate {
  weight: number
  inFlight = 0
  readonly first = { credit: 0 }
  readonly retry = { credit: 0 }
  picked = 0
  readonly score = new Score({ initial: 30, decay: 10_000 })

  constructor(weight = 100) {
    this.weight = weight
  }
}

const endpoints = (weights: ReadonlyArray<number>) =>
  new Candidates(weights.map((weight) => new Endpoint(weight)))

const seed = 20_260_101

for (const [kind, policy] of Object.entries(policies)) {
  const make = () => makeBalancer(policy, seededRandom(seed))

  describe(`any balancer: ${kind} (seed ${seed})`, () => {
    it("picks the only one", () => {
      const only = endpoints([100])
      expect(make().pick(only, 0, "first")).toBe(only.all[0])
    })

    it("gives everybody the same when nothing tells them apart", () => {
      const all = endpoints([100, 100, 100, 100])
      const balancer = make()
      for (let i = 0; i < 4_000; i++) balancer.pick(all, i, "first").picked++
      for (const { picked } of all.all) {
        expect(picked).toBeGreaterThan(850)
        expect(picked).toBeLessThan(1_150)
      }
    })

    it.each([[[100, 300]], [[1, 1, 2, 4]], [[1_000, 1]], [[50, 100, 150, 200, 250]]])(
      "follows the weights %j",
      (weights) => {
        const all = endpoints(weights)
        const balancer = make()
        const rounds = 20_000
        for (let i = 0; i < rounds; i++) balancer.pick(all, i, "first").picked++
        const total = weights.reduce((sum, weight) => sum + weight, 0)
        for (const { picked, weight } of all.all) {
          expect(Math.abs(picked / rounds - weight / total)).toBeLessThan(0.02)
        }
      }
    )

    it("picks one of those given, whatever they did", () => {
      fc.assert(
        fc.property(
          fc.array(fc.integer({ min: 1, max: 1_000 }), { minLength: 1, maxLength: 12 }),
          fc.array(fc.nat(2_000), { minLength: 1, maxLength: 50 }),
          fc.integer(),
          (weights, latencies, randomSeed) => {
            const some = endpoints(weights)
            const balancer = makeBalancer(policy, seededRandom(randomSeed))
            latencies.forEach((latency, now) => {
              const picked = balancer.pick(some, now, "first")
              expect(some.all).toContain(picked)
              picked.inFlight++
              picked.score.answered(latency, now)
            })
          }
        )
      )
    })

    it("gives a newcomer its share, and forgets who left", () => {
      const [a, b, c] = endpoints([100, 100, 100]).all
      const balancer = make()
      const former = new Candidates([a!, b!])
      for (let i = 0; i < 1_000; i++) balancer.pick(former, i, "first")
      const next = new Candidates([b!, c!])
      for (let i = 0; i < 1_000; i++) balancer.pick(next, 1_000 + i, "first").picked++
      expect(a!.picked).toBe(0)
      expect(b!.picked).toBeGreaterThan(420)
      expect(c!.picked).toBeGreaterThan(420)
    })
  })
}

describe("round_robin", () => {
  it("spreads a heavy endpoint's turns out", () => {
    const all = endpoints([5, 1, 1])
    const [a, b, c] = all.all
    const names = new Map([
      [a, "a"],
      [b, "b"],
      [c, "c"]
    ])
    const balancer = makeBalancer({ kind: "round_robin" }, () => 0)
    const turns = Array.from({ length: 7 }, () => names.get(balancer.pick(all, 0, "first")))
    expect(turns.join("")).toBe("aabacaa")
  })
})

describe("least_request", () => {
  it("always prefers the less busy of two", () => {
    const all = endpoints([100, 100])
    all.all[0]!.inFlight = 1
    const balancer = makeBalancer({ kind: "least_request" }, seededRandom(seed))
    for (let i = 0; i < 100; i++) expect(balancer.pick(all, i, "first")).toBe(all.all[1])
  })

  it("settles at work in flight in proportion to weight", () => {
    const all = endpoints([100, 300])
    const balancer = makeBalancer({ kind: "least_request" }, seededRandom(seed))
    for (let i = 0; i < 400; i++) balancer.pick(all, i, "first").inFlight++
    expect(all.all[0]!.inFlight).toBeGreaterThan(95)
    expect(all.all[0]!.inFlight).toBeLessThan(105)
  })

  it("keeps the longest queue of many endpoints close to the mean", () => {
    const all = endpoints(new Array<number>(50).fill(100))
    const balancer = makeBalancer({ kind: "least_request" }, seededRandom(seed))
    for (let i = 0; i < 5_000; i++) balancer.pick(all, i, "first").inFlight++
    // One random choice would give about 100 + 25.
    expect(Math.max(...all.all.map(({ inFlight }) => inFlight))).toBeLessThan(105)
  })
})

describe("p2c_ewma", () => {
  const balancer = () => makeBalancer(policies["p2c_ewma"]!, seededRandom(seed))

  it("keeps away from a slow endpoint, though nothing is in flight", () => {
    const all = endpoints([100, 100, 100])
    all.all.forEach((endpoint, index) => {
      endpoint.score.answered(index === 1 ? 500 : 5, 0)
    })
    const pick = balancer()
    for (let i = 0; i < 1_000; i++) pick.pick(all, 0, "first").picked++
    // But for the one in a hundred that is drawn first and tried whatever is known of it.
    expect(all.all[1]!.picked).toBeLessThan(10)
    for (let i = 0; i < 1_000; i++) expect(pick.pick(all, 0, "retry")).not.toBe(all.all[1])
    all.all[1]!.inFlight = 1
    for (let i = 0; i < 1_000; i++) expect(pick.pick(all, 0, "first")).not.toBe(all.all[1])
  })

  it("tries an endpoint it knows nothing of at once, but not with everything", () => {
    const all = endpoints([100, 100])
    all.all[0]!.score.answered(2, 0)
    const pick = balancer()
    expect(pick.pick(all, 1, "first")).toBe(all.all[1])
    all.all[1]!.inFlight = 1
    expect(pick.pick(all, 1, "first")).toBe(all.all[0])
  })

  it("tries a slow endpoint again in time", () => {
    const all = endpoints([100, 100])
    all.all[0]!.score.answered(10, 0)
    all.all[1]!.score.answered(300, 0)
    const pick = balancer()
    let now = 0
    let back: number | undefined
    for (; now < 60_000 && back === undefined; now += 100) {
      const picked = pick.pick(all, now, "retry")
      if (picked === all.all[1]) back = now
      picked.score.answered(10, now)
    }
    expect(back).toBeGreaterThan(30_000)
    expect(back).toBeLessThan(40_000)
  })

  it("evens out load under concurrency by what each endpoint can do", () => {
    // Five requests each millisecond; one endpoint takes 5 ms, the other 20.
    const all = endpoints([100, 100])
    const takes = [5, 20]
    const pick = balancer()
    let underWay: Array<{
      readonly endpoint: Endpoint
      readonly from: number
      readonly to: number
    }> = []
    for (let now = 0; now < 5_000; now++) {
      for (const { endpoint, from, to } of underWay) {
        if (to > now) continue
        endpoint.inFlight--
        endpoint.score.answered(now - from, now)
      }
      underWay = underWay.filter(({ to }) => to > now)
      for (let i = 0; i < 5; i++) {
        const endpoint = pick.pick(all, now, "first")
        endpoint.inFlight++
        endpoint.picked++
        underWay.push({ endpoint, from: now, to: now + takes[all.all.indexOf(endpoint)]! })
      }
    }
    const share = all.all[1]!.picked / (all.all[0]!.picked + all.all[1]!.picked)
    expect(share).toBeGreaterThan(0.02)
    expect(share).toBeLessThan(0.25)
  })
})
