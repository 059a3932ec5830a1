import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { NodeName, ServiceName } from "../model/Names.ts"
import { Histogram, latencyBounds } from "../request/cells/Cells.ts"
import type { PeerLinkStatus } from "../request/link/LinkPool.ts"
import { standingNames } from "../request/outbound/Standing.ts"
import type { EndpointStatus, ServiceStats } from "../request/outbound/Status.ts"
import type { AskedRows } from "../request/PlaneQuestions.ts"
import { alice, bob } from "../testing/LinkTestPair.ts"
import { endpointRows, linkRows, loadOf, serviceRows, totalsOf } from "./ThreadRows.ts"

const web = ServiceName.make("web")
const raw = ServiceName.make("raw")
const count = fc.nat(1_000)

const latencyOf = (latencies: ReadonlyArray<number>): ReadonlyArray<number> => {
  const histogram = new Histogram(latencyBounds)
  for (const latency of latencies) histogram.record(latency)
  return Array.from(histogram.counts)
}

const stats = (change: Partial<ServiceStats> = {}): ServiceStats => ({
  service: web,
  protocol: "http",
  endpoints: 2,
  selected: 2,
  panic: false,
  inFlight: 0,
  requests: 0,
  successes: 0,
  latency: latencyOf([]),
  ...change
})

const endpoint = (change: Partial<EndpointStatus> = {}): EndpointStatus => ({
  key: `${bob}/0`,
  peer: bob,
  node: NodeName.make("host-b"),
  endpoint: "0",
  local: false,
  weight: 100,
  healthy: true,
  draining: false,
  member: "alive",
  linked: true,
  selected: true,
  standing: "healthy",
  despite: undefined,
  standsUntil: undefined,
  ejectedUntil: undefined,
  timesEjected: 0,
  breaker: undefined,
  inFlight: 0,
  ewma: undefined,
  requests: 0,
  failures: 0,
  ...change
})

const link = (change: Partial<PeerLinkStatus> = {}): PeerLinkStatus => ({
  peer: bob,
  state: "up",
  rtt: undefined,
  exchanges: 0,
  serving: 0,
  bytesIn: 0,
  bytesOut: 0,
  addresses: [],
  since: 1,
  wanted: false,
  reason: undefined,
  ...change
})

/** The same answers in two orders. */
const inTwoOrders = <A>(one: fc.Arbitrary<A>): fc.Arbitrary<readonly [Array<A>, Array<A>]> =>
  fc
    .array(one, { minLength: 1, maxLength: 6 })
    .chain((all) =>
      fc
        .shuffledSubarray(all, { minLength: all.length, maxLength: all.length })
        .map((shuffled) => [all, shuffled] as const)
    )

const total = (all: ReadonlyArray<number>): number => all.reduce((sum, one) => sum + one, 0)

describe("services", () => {
  const services = (...rows: ReadonlyArray<ServiceStats>): AskedRows => ({ kind: "services", rows })

  it("add up, in whatever order threads answer", () => {
    const row = fc
      .record({
        service: fc.constantFrom(web, raw),
        endpoints: fc.nat(5),
        selected: fc.nat(5),
        panic: fc.boolean(),
        inFlight: count,
        successes: count,
        failures: count,
        latencies: fc.array(fc.double({ min: 0, max: 90_000, noNaN: true }), { maxLength: 5 })
      })
      .map(({ failures, latencies, successes, ...rest }) =>
        stats({
          ...rest,
          successes,
          requests: successes + failures,
          latency: latencyOf(latencies)
        })
      )
    fc.assert(
      fc.property(inTwoOrders(row), ([rows, shuffled]) => {
        const merged = serviceRows(rows.map((it) => services(it)))
        const sorted = (from: typeof merged) => [...from].sort(([a], [b]) => (a < b ? -1 : 1))
        expect(sorted(serviceRows([services(...shuffled)]))).toEqual(sorted(merged))
        for (const [name, sum] of merged) {
          const own = rows.filter(({ service }) => service === name)
          const requests = total(own.map((it) => it.requests))
          expect(sum.requests).toBe(requests)
          expect(sum.inFlight).toBe(total(own.map((it) => it.inFlight)))
          expect(sum.panic).toBe(own.some((it) => it.panic))
          expect(sum.successRate).toBe(
            requests === 0 ? 1 : total(own.map((it) => it.successes)) / requests
          )
        }
      })
    )
  })

  it("have the quantiles of all latencies, as if one thread had seen them", () => {
    const latencies = fc.array(fc.double({ min: 0, max: 50_000, noNaN: true }), { maxLength: 20 })
    fc.assert(
      fc.property(fc.array(latencies, { minLength: 1, maxLength: 5 }), (threads) => {
        const merged = serviceRows(threads.map((it) => services(stats({ latency: latencyOf(it) }))))
        const one = serviceRows([services(stats({ latency: latencyOf(threads.flat()) }))])
        expect(merged).toEqual(one)
        const { p50, p95, p99 } = merged.get(web)!
        expect(p50).toBeLessThanOrEqual(p95)
        expect(p95).toBeLessThanOrEqual(p99)
      })
    )
  })

  it("without a call are well", () => {
    expect(serviceRows([services(stats())]).get(web)).toMatchObject({ successRate: 1, p99: 0 })
  })

  it("have the protocol that a thread knows, when another has not heard of it yet", () => {
    const known = stats({ protocol: "tcp" })
    const unknown = stats({ protocol: undefined })
    for (const rows of [
      [known, unknown],
      [unknown, known]
    ]) {
      expect(serviceRows([services(...rows)]).get(web)?.protocol).toBe("tcp")
    }
  })
})

describe("endpoints", () => {
  const endpoints = (...rows: ReadonlyArray<EndpointStatus>): AskedRows => ({
    kind: "endpoints",
    rows
  })
  const row = fc
    .record({
      key: fc.constantFrom(`${bob}/0`, `${bob}/1`),
      standing: fc.constantFrom(...standingNames),
      standsUntil: fc.option(fc.nat(100), { nil: undefined }),
      linked: fc.boolean(),
      selected: fc.boolean(),
      ejectedUntil: fc.option(fc.nat(100), { nil: undefined }),
      timesEjected: fc.nat(5),
      breaker: fc.constantFrom("closed" as const, "half_open" as const, "open" as const, undefined),
      inFlight: count,
      ewma: fc.option(fc.nat(1_000), { nil: undefined }),
      requests: fc.nat(3),
      failures: count
    })
    .map(endpoint)

  it("add up, in whatever order threads answer; what is told is the strictest standing", () => {
    fc.assert(
      fc.property(inTwoOrders(row), ([rows, shuffled]) => {
        const merged = endpointRows(rows.map((it) => endpoints(it)))
        const again = endpointRows([endpoints(...shuffled)])
        expect(again).toHaveLength(merged.length)
        for (const { ewma, ...sum } of merged) {
          const { ewma: other, ...rest } = again.find(({ key }) => key === sum.key)!
          expect(rest).toEqual(sum)
          if (ewma === undefined) expect(other).toBeUndefined()
          else expect(other).toBeCloseTo(ewma, 6)
          const own = rows.filter(({ key }) => key === sum.key)
          const [strictest] = standingNames.filter((it) => own.some((r) => r.standing === it))
          expect(sum.standing).toBe(strictest)
          expect(sum.requests).toBe(total(own.map((it) => it.requests)))
          expect(sum.failures).toBe(total(own.map((it) => it.failures)))
          expect(sum.inFlight).toBe(total(own.map((it) => it.inFlight)))
          expect(sum.linked).toBe(own.every((it) => it.linked))
          expect(sum.selected).toBe(own.some((it) => it.selected))
        }
      })
    )
  })

  it("are told as one thread sees them, when there is one", () => {
    fc.assert(
      fc.property(row, (one) => {
        expect(endpointRows([endpoints(one)])).toEqual([one])
      })
    )
  })

  it("have the mean latency of the threads that asked, by how much each did", () => {
    const rows = [
      endpoint({ ewma: 10, requests: 30 }),
      endpoint({ requests: 1_000 }), // which has asked, and has no answer to measure yet
      endpoint({ ewma: 50, requests: 10 })
    ]
    expect(endpointRows([endpoints(...rows)])[0]?.ewma).toBe(20)
  })

  it("stand in the order of the first thread, then of those it does not know", () => {
    const [a, b, c] = ["a", "b", "c"].map((key) => endpoint({ key }))
    const merged = endpointRows([endpoints(b!, a!), endpoints(c!, a!, b!)])
    expect(merged.map(({ key }) => key)).toEqual(["b", "a", "c"])
  })
})

describe("load and totals", () => {
  it("are sums", () => {
    const load = fc.record({
      ...{ index: count, loopDelay: count },
      ...{ inbound: count, outbound: count, serving: count, sockets: count }
    })
    fc.assert(
      fc.property(fc.array(load, { maxLength: 5 }), (all) => {
        const sum = loadOf(all.map((it): AskedRows => ({ kind: "load", load: it })))
        for (const what of ["inbound", "outbound", "serving", "sockets"] as const) {
          expect(sum[what]).toBe(total(all.map((it) => it[what])))
        }
      })
    )
    fc.assert(
      fc.property(fc.array(fc.dictionary(fc.constantFrom("a", "b"), count)), (all) => {
        const totals = totalsOf(
          all.map(
            (it): AskedRows => ({ kind: "totals", totals: new Map(Object.entries(it)), links: 1 })
          )
        )
        for (const key of ["a", "b"]) {
          expect(totals.get(key) ?? 0).toBe(total(all.map((it) => it[key] ?? 0)))
        }
      })
    )
  })

  it("take nothing from answers to other questions", () => {
    const other: AskedRows = { kind: "links", rows: [] }
    expect(loadOf([other])).toEqual({ inbound: 0, outbound: 0, serving: 0, sockets: 0 })
    expect([serviceRows([other]).size, totalsOf([other]).size]).toEqual([0, 0])
    expect(endpointRows([other])).toEqual([])
  })
})

describe("links", () => {
  const links = (...rows: ReadonlyArray<PeerLinkStatus>): AskedRows => ({ kind: "links", rows })
  const nowhere = () => []

  it("add up over threads and the mesh's connection, in whatever order threads answer", () => {
    const row = fc
      .record({
        state: fc.constantFrom(
          "up" as const,
          "down" as const,
          "connecting" as const,
          "draining" as const
        ),
        rtt: fc.option(fc.nat(50), { nil: undefined }),
        exchanges: count,
        serving: count,
        bytesIn: count,
        bytesOut: count,
        wanted: fc.boolean()
      })
      .map(link)
    fc.assert(
      fc.property(inTwoOrders(row), ([rows, shuffled]) => {
        const [merged] = linkRows([], [links(...rows)], nowhere)
        expect(
          linkRows(
            [],
            shuffled.map((it) => links(it)),
            nowhere
          )
        ).toEqual([merged])
        for (const what of ["exchanges", "serving", "bytesIn", "bytesOut"] as const) {
          expect(merged?.[what]).toBe(total(rows.map((it) => it[what])))
        }
        const rtts = rows.flatMap(({ rtt }) => rtt ?? [])
        expect(merged?.rtt).toBe(rtts.length === 0 ? undefined : Math.min(...rtts))
      })
    )
  })

  it("are up when the mesh's connection is, though no thread has needed one", () => {
    const connection = {
      peer: bob,
      state: "up",
      wanted: true,
      since: 5,
      reason: undefined
    } as const
    const rows = linkRows([connection], [links(link({ state: "down" }))], () => ["/ip4/1.2.3.4"])
    expect(rows).toMatchObject([{ peer: bob, state: "up", since: 5, addresses: ["/ip4/1.2.3.4"] }])
  })

  it("tell of peers that only threads have a link with", () => {
    const rows = linkRows([], [links(link({ peer: alice })), links(link())], nowhere)
    expect(rows.map(({ peer }) => peer)).toEqual([alice, bob])
  })
})
