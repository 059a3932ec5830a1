/** Outbounds of several threads of one node, which tell each other what they find out. */
import { describe, expect, it } from "@effect/vitest"
import type { PolicyInput } from "../../schema/PolicySchema.ts"
import { endpointView, Fixture, ManualTicker, payments } from "../../testing/OutboundFixture.ts"
import { HostRuns, runMemory } from "../policy/HostRuns.ts"

/** As many threads, on one clock; what one tells, the others learn at once. */
const threads = (count: number, policy: PolicyInput, letters: string): ReadonlyArray<Fixture> => {
  const ticker = new ManualTicker()
  const all: Array<Fixture> = []
  const memory = runMemory()
  for (let index = 0; index < count; index++) {
    const views = [...letters].map((letter) => endpointView(letter))
    all.push(
      new Fixture(policy, views, {
        ticker,
        runs: new HostRuns(memory),
        onFact: (service, endpoint, fact) =>
          all.forEach((other, at) => {
            if (at !== index) other.outbound.learn(service, endpoint, fact)
          })
      })
    )
  }
  return all
}

const fail = (thread: Fixture, times: number): void => {
  for (let i = 0; i < times; i++) {
    thread.request()
    thread.last.respond(500)
  }
}

const circuits = (all: ReadonlyArray<Fixture>) =>
  all.map(({ outbound }) => outbound.endpoints(payments)[0]?.breaker)

const counted = (thread: Fixture, name: string): number =>
  [...(thread.metrics.families.get(name)?.cells.values() ?? [])].reduce(
    (sum, { cell }) => sum + ("value" in cell ? cell.value : 0),
    0
  )

const breakerOnly: PolicyInput = {
  retry: "off",
  ejection: "off",
  breaker: { consecutiveFailures: 3, open: { base: "1s", max: "10s" }, probe: "500ms" }
}

describe("what one thread finds out", () => {
  it("opens the circuit in all, and is counted once", () => {
    const all = threads(3, breakerOnly, "a")
    fail(all[0]!, 3)
    expect(circuits(all)).toEqual(["open", "open", "open"])
    for (const thread of all.slice(1)) {
      thread.request()
      expect(thread.sent).toHaveLength(0)
    }
    expect(all.map((one) => counted(one, "skein_breaker_transitions_total"))).toEqual([1, 0, 0])
    expect(all.map((one) => counted(one, "skein_breaker_state"))).toEqual([2, 2, 2])
  })

  it("is counted together: the circuit opens at the host's failures in a row", () => {
    const all = threads(3, breakerOnly, "a")
    for (const [index, state] of (["closed", "closed", "open"] as const).entries()) {
      fail(all[index]!, 1)
      expect(circuits(all)).toEqual([state, state, state])
    }
  })

  it("is counted anew after a success in another", () => {
    const all = threads(2, breakerOnly, "a")
    const [first, second] = [all[0]!, all[1]!]
    fail(first, 2)
    second.request()
    second.last.respond(200)
    fail(first, 2)
    expect(circuits(all)).toEqual(["closed", "closed"])
    fail(second, 1)
    expect(circuits(all)).toEqual(["open", "open"])
  })

  it("is counted anew for an endpoint that left and came back", () => {
    const all = threads(2, breakerOnly, "a")
    fail(all[0]!, 2)
    for (const thread of all) thread.show([endpointView("b")])
    for (const thread of all) thread.show([endpointView("a")])
    fail(all[1]!, 2)
    expect(circuits(all)).toEqual(["closed", "closed"])
  })

  it("ejects at the host's failures in a row", () => {
    const all = threads(2, { retry: "off", breaker: "off" }, "a")
    for (let i = 0; i < 5; i++) {
      expect(all[0]!.outbound.endpoints(payments)[0]?.ejectedUntil).toBe(undefined)
      fail(all[i % 2]!, 1)
    }
    expect(all[1]!.outbound.endpoints(payments)[0]?.ejectedUntil).toBeDefined()
  })

  it("is one probe for all, and its success closes the circuit in all", () => {
    const all = threads(3, breakerOnly, "a")
    const [first, second] = [all[0]!, all[1]!]
    fail(first, 3)
    first.ticker.advance(2_000)
    second.request()
    expect(second.sent).toHaveLength(1)
    first.request()
    expect(first.sent).toHaveLength(3)
    second.last.respond(200)
    expect(circuits(all)).toEqual(["closed", "closed", "closed"])
  })

  it("is another probe elsewhere when the first one takes too long", () => {
    const all = threads(2, breakerOnly, "a")
    const [first, second] = [all[0]!, all[1]!]
    fail(first, 3)
    first.ticker.advance(2_000)
    second.request()
    first.ticker.advance(600)
    first.request()
    expect(first.sent).toHaveLength(4)
    first.last.respond(200)
    expect(circuits(all)).toEqual(["closed", "closed"])
  })

  it("ejects an endpoint in all, until it has proved in one that it is well", () => {
    const all = threads(2, { retry: "off", breaker: "off", balance: { kind: "round_robin" } }, "a")
    const [first, second] = [all[0]!, all[1]!]
    fail(first, 5)
    const out = () =>
      all.map(({ outbound }) => outbound.endpoints(payments)[0]?.ejectedUntil !== undefined)
    expect(out()).toEqual([true, true])
    expect(all.map((one) => counted(one, "skein_ejections_total"))).toEqual([1, 0])
    for (let i = 0; i < 5; i++) {
      second.ticker.advance(100)
      second.request()
      second.last.respond(200)
    }
    expect(out()).toEqual([false, false])
  })

  it("spares an endpoint in all, and its successes in a row are the host's proof", () => {
    const all = threads(2, { retry: "off", breaker: "off", balance: { kind: "round_robin" } }, "ab")
    const [first, second] = [all[0]!, all[1]!]
    const unwell = (thread: Fixture) =>
      thread.outbound.endpoints(payments).map(({ standing }) => standing)
    for (let i = 0; i < 20; i++) fail(all[i % 2]!, 1)
    expect(unwell(first)).toEqual(unwell(second))
    expect(unwell(first).toSorted()).toEqual(["ejected", "unwell"])
    for (let i = 0; i < 10; i++) {
      const thread = all[i % 2]!
      thread.ticker.advance(100)
      thread.request()
      thread.last.respond(200)
    }
    expect(unwell(first)).toEqual(unwell(second))
    expect(unwell(first)).toEqual(["healthy", "healthy"])
  })

  it("is of no interest to a thread whose view has no such endpoint yet", () => {
    const [thread] = threads(1, breakerOnly, "a")
    thread!.outbound.learn(payments, "nobody", {
      kind: "ejection",
      news: { state: "out", until: 1e9, reason: "consecutive_5xx" }
    })
    expect(circuits([thread!])).toEqual(["closed"])
  })
})
