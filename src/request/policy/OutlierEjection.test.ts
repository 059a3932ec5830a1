import fc from "fast-check"
import { describe, expect, it } from "vitest"
import type { EjectionPolicy } from "../../model/Policy.ts"
import { type EjectionNews, type EjectionRecord, OutlierEjection } from "./OutlierEjection.ts"

const policy: EjectionPolicy = {
  consecutive5xx: 5,
  base: 30_000,
  max: 300_000,
  maxPercent: 10,
  successRateMargin: 5,
  interval: 10_000,
  successRateDeviations: 1.9,
  minEndpoints: 5,
  minRequests: 100
}

const group = (size: number, change: Partial<EjectionPolicy> = {}) => {
  const ejection = new OutlierEjection({ ...policy, ...change })
  const hosts = Array.from({ length: size }, () => ejection.add())
  const fail = (host: EjectionRecord, now: number, times = 5) => {
    let last = ejection.result(host, false, now)
    for (let i = 1; i < times; i++) last = ejection.result(host, false, now)
    return last
  }
  return { ejection, hosts, fail }
}

describe("OutlierEjection", () => {
  it("ejects after five failures in a row", () => {
    const { ejection, fail, hosts } = group(2)
    expect(fail(hosts[0]!, 1_000, 4)).toEqual([])
    expect(ejection.result(hosts[0]!, false, 1_000)).toEqual([
      { record: hosts[0], reason: "consecutive_5xx", duration: 30_000, state: "out" }
    ])
    expect(hosts[0]!.until).toBe(31_000)
    expect(ejection.ejected(30_999)).toBe(1)
    expect(ejection.ejected(31_000)).toBe(0)
  })

  it("a success in between starts the count anew", () => {
    const { ejection, fail, hosts } = group(2)
    fail(hosts[0]!, 0, 4)
    ejection.result(hosts[0]!, true, 0)
    expect(fail(hosts[0]!, 0, 4)).toEqual([])
  })

  it("ejects for longer each time, up to the maximum", () => {
    const { fail, hosts } = group(2)
    const durations: Array<number> = []
    let now = 0
    for (let i = 0; i < 12; i++) {
      durations.push(fail(hosts[0]!, now)[0]?.duration ?? 0)
      now = hosts[0]!.until
    }
    expect(durations.slice(0, 4)).toEqual([30_000, 60_000, 90_000, 120_000])
    expect(durations.at(-1)).toBe(300_000)
  })

  it("takes one off the multiplier for each interval in rotation", () => {
    const { ejection, fail, hosts } = group(2)
    fail(hosts[0]!, 0)
    fail(hosts[0]!, hosts[0]!.until)
    expect(hosts[0]!.times).toBe(2)
    const back = hosts[0]!.until
    // Results of any endpoint move the intervals on.
    for (let now = 0; now <= back + 9_999; now += 1_000) ejection.result(hosts[1]!, true, now)
    expect(hosts[0]!.times).toBe(2)
    ejection.result(hosts[1]!, true, back + 10_000)
    expect(hosts[0]!.times).toBe(1)
    ejection.result(hosts[1]!, true, back + 90_000)
    expect(hosts[0]!.times).toBe(0)
  })

  it.each([
    { size: 1, allowed: 1 },
    { size: 2, allowed: 1 },
    { size: 10, allowed: 1 },
    { size: 19, allowed: 1 },
    { size: 20, allowed: 2 },
    { size: 30, allowed: 3 }
  ])("of $size endpoints at most $allowed are out", ({ allowed, size }) => {
    const { ejection, fail, hosts } = group(size)
    for (const host of hosts) fail(host, 0)
    expect(ejection.ejected(0)).toBe(allowed)
  })

  const interval = (
    test: ReturnType<typeof group>,
    rates: ReadonlyArray<number>,
    total: number,
    now: number
  ) => {
    rates.forEach((rate, index) => {
      for (let i = 0; i < total; i++) {
        // Spread out, so that no run of failures is five long.
        const failed = Math.floor((i + 1) * (1 - rate)) > Math.floor(i * (1 - rate))
        test.ejection.result(test.hosts[index]!, !failed, now)
      }
    })
  }

  it("ejects whose success rate is far below the others'", () => {
    const test = group(6)
    interval(test, [1, 1, 0.99, 1, 0.5, 1], 100, 0)
    expect(test.ejection.result(test.hosts[0]!, true, 10_000)).toEqual([
      { record: test.hosts[4], reason: "success_rate", duration: 30_000, state: "out" }
    ])
  })

  it.each([
    { why: "too few endpoints", rates: [1, 1, 1, 0.5], total: 100 },
    { why: "too few requests", rates: [1, 1, 1, 1, 1, 0.5], total: 99 },
    { why: "all alike", rates: [0.8, 0.8, 0.8, 0.8, 0.8, 0.8], total: 100 },
    { why: "within the spread", rates: [1, 0.9, 0.8, 1, 0.9, 0.8], total: 100 }
  ])("does not judge by success rate: $why", ({ rates, total }) => {
    const test = group(rates.length)
    interval(test, rates, total, 0)
    expect(test.ejection.result(test.hosts[0]!, true, 10_000)).toEqual([])
  })

  it("ejects no endpoint for one error in 120 beside perfect ones", () => {
    const test = group(6)
    interval(test, [1, 1, 1 - 1.01 / 120, 1, 1, 1], 120, 0)
    expect(test.ejection.result(test.hosts[0]!, true, 10_000)).toEqual([])
  })

  it("two bad ones of five do not hide each other", () => {
    const test = group(5)
    interval(test, [1, 0.6, 1, 0.6, 1], 120, 0)
    const ejections = test.ejection.result(test.hosts[0]!, true, 10_000)
    expect(ejections.map(({ reason, state }) => [state, reason]).toSorted()).toEqual([
      ["out", "success_rate"],
      ["spared", "success_rate"]
    ])
    // One is spared, because no more may be out; it counts as unwell for as long.
    const [b, d] = [test.hosts[1]!, test.hosts[3]!]
    expect([b.until, d.until].toSorted()).toEqual([0, 40_000])
    expect([b.spared, d.spared].toSorted()).toEqual([0, 40_000])
  })

  it("asks for a long proof of an endpoint that was judged by its rate", () => {
    const test = group(6)
    interval(test, [1, 1, 1, 1, 0.5, 1], 100, 0)
    const [host] = [test.hosts[4]!]
    test.ejection.result(test.hosts[0]!, true, 10_000)
    expect(host.until).toBe(40_000)
    for (let i = 0; i < 99; i++) test.ejection.result(host, true, 11_000)
    expect(host.until).toBe(40_000)
    test.ejection.result(host, true, 11_000)
    expect(host.until).toBe(11_000)
  })

  it("says when something has changed", () => {
    const { ejection, fail, hosts } = group(2)
    const { revision } = ejection
    fail(hosts[0]!, 0, 4)
    ejection.result(hosts[1]!, true, 0)
    expect(ejection.revision).toBe(revision)
    fail(hosts[0]!, 0, 1)
    expect(ejection.revision).not.toBe(revision)
    const ejectedOne = ejection.revision
    fail(hosts[1]!, 0)
    expect(hosts[1]!.spared).toBe(30_000)
    expect(ejection.revision).not.toBe(ejectedOne)
  })

  it("does not judge by an interval that ended long ago", () => {
    const test = group(6)
    interval(test, [1, 1, 1, 1, 0.5, 1], 100, 0)
    expect(test.ejection.result(test.hosts[0]!, true, 60_000)).toEqual([])
  })

  it("knows nothing of an endpoint that left", () => {
    const { ejection, fail, hosts } = group(2)
    ejection.remove(hosts[0]!)
    expect(fail(hosts[0]!, 0, 20)).toEqual([])
    expect(ejection.ejected(0)).toBe(0)
  })

  it("never has more out than allowed, whatever happens", () => {
    const event = fc.tuple(fc.nat(9), fc.boolean(), fc.nat(3_000))
    fc.assert(
      fc.property(fc.array(event, { maxLength: 400 }), fc.nat(100), (events, maxPercent) => {
        const { ejection, hosts } = group(10, { maxPercent, consecutive5xx: 2, minRequests: 5 })
        let now = 0
        for (const [index, success, wait] of events) {
          now += wait
          ejection.result(hosts[index]!, success, now)
          expect(ejection.ejected(now)).toBeLessThanOrEqual(Math.max(1, maxPercent / 10))
        }
      })
    )
  })
})

const out: EjectionNews = { state: "out", until: 31_000, reason: "consecutive_5xx" }

describe("ejections of another thread", () => {
  it("hold here, and count for how long the next one is", () => {
    const { ejection, fail, hosts } = group(2)
    expect(ejection.learn(hosts[0]!, out, 1_000)).toBe(true)
    expect(ejection.ejected(30_999)).toBe(1)
    expect(fail(hosts[0]!, 32_000)).toEqual([
      { record: hosts[0], reason: "consecutive_5xx", duration: 60_000, state: "out" }
    ])
  })

  it("are no news when this one has it out for as long", () => {
    const { ejection, fail, hosts } = group(2)
    fail(hosts[0]!, 1_000)
    const { revision } = ejection
    expect(ejection.learn(hosts[0]!, out, 1_000)).toBe(false)
    expect(ejection.revision).toBe(revision)
  })

  it("end when it is found well there", () => {
    const { ejection, hosts } = group(2)
    ejection.learn(hosts[0]!, out, 1_000)
    expect(ejection.learn(hosts[0]!, { state: "well" }, 5_000)).toBe(true)
    expect(ejection.ejected(5_000)).toBe(0)
    expect(ejection.learn(hosts[0]!, { state: "well" }, 6_000)).toBe(false)
  })

  it("may have been spared there: then it is unwell here, too, and in rotation", () => {
    const { ejection, hosts } = group(2)
    const spared: EjectionNews = { ...out, state: "spared" }
    expect(ejection.learn(hosts[0]!, spared, 1_000)).toBe(true)
    expect([hosts[0]!.spared, hosts[0]!.until]).toEqual([31_000, 0])
    expect(ejection.learn(hosts[0]!, spared, 1_000)).toBe(false)
    // Who is out here is out, whatever another thread had to spare.
    ejection.learn(hosts[1]!, out, 1_000)
    expect(ejection.learn(hosts[1]!, { ...spared, until: 40_000 }, 2_000)).toBe(false)
  })

  it("ask here for as long a proof as there", () => {
    const { ejection, hosts } = group(2)
    ejection.learn(hosts[0]!, { ...out, reason: "success_rate" }, 1_000)
    for (let i = 0; i < 99; i++) ejection.result(hosts[0]!, true, 2_000)
    expect(hosts[0]!.until).toBe(31_000)
    ejection.result(hosts[0]!, true, 2_000)
    expect(hosts[0]!.until).toBe(2_000)
  })

  it("say nothing of an endpoint that left", () => {
    const { ejection, hosts } = group(2)
    ejection.remove(hosts[0]!)
    expect(ejection.learn(hosts[0]!, out, 1_000)).toBe(false)
  })
})
