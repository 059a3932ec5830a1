/**
 * Every field of a policy, seen from outside the outbound stack: each has a value here that no
 * default has, and a call that goes otherwise than it would by default. A field that is added
 * without an entry does not compile; one that nothing reads any more fails.
 */
import { describe, expect, it } from "vitest"
import type { Policy } from "../../model/Policy.ts"
import type { PolicyInput } from "../../schema/PolicySchema.ts"
import { endpointView, Fixture, payments } from "../../testing/OutboundFixture.ts"

type Fields<T> =
  T extends ReadonlyArray<unknown>
    ? ""
    : T extends object
      ? { [K in keyof T & string]-?: `.${K}${Fields<T[K]>}` }[keyof T & string]
      : ""

const bytes = (text: string) => Buffer.from(text)
const letters = ["a", "b", "c", "d", "e", "f"] as const
const some = (count: number) => letters.slice(0, count).map((letter) => endpointView(letter))

/** Turns are known, and random waits are exactly half of their ceiling. */
const make = (policy: PolicyInput, count = 1): Fixture =>
  new Fixture({ balance: { kind: "round_robin" }, ...policy }, some(count), { random: () => 0.5 })

const status = (mesh: Fixture, index = 0) => {
  const found = mesh.outbound.endpoints(payments)[index]
  if (found === undefined) throw new Error(`no endpoint ${index}`)
  return found
}

/** Requests until the endpoint has answered `count` times with what `answer` says. */
const answer = (mesh: Fixture, count: number, answer: (endpoint: string) => number): void => {
  for (let i = 0; i < count; i++) {
    mesh.request()
    mesh.last.respond(answer(mesh.trail.at(-1) ?? ""))
  }
}

/** The attempt sent last has reached nobody. */
const refuse = (mesh: Fixture): void => mesh.last.fault("upstream_connect", false)

const ejected = (mesh: Fixture, count: number): string =>
  letters
    .slice(0, count)
    .filter((_, index) => (status(mesh, index).ejectedUntil ?? 0) > mesh.ticker.wall())
    .join("")

/** Each endpoint fails such a share of its `total` requests, spread out. */
const rates = (
  ejection: PolicyInput["ejection"],
  failing: ReadonlyArray<number>,
  total: number
): Fixture => {
  const mesh = make({ retry: "off", breaker: "off", ejection }, failing.length)
  const owed = failing.map(() => 0)
  answer(mesh, failing.length * total, (endpoint) => {
    const index = letters.join("").indexOf(endpoint)
    owed[index]! += failing[index]!
    if (owed[index]! < 1) return 200
    owed[index]!--
    return 500
  })
  return mesh
}

/** `count` endpoints, of which the first one fails every other request. */
const oneWorse = (ejection: PolicyInput["ejection"], count: number, total: number): Fixture =>
  rates(ejection, [0.5, ...new Array<number>(count - 1).fill(0)], total)

/** What the end of an interval says is noticed with the next result. */
const afterInterval = (mesh: Fixture, interval: number, count: number): string => {
  mesh.ticker.advance(interval)
  answer(mesh, 1, () => 200)
  return ejected(mesh, count)
}

const fields: Record<Fields<Policy>, () => void> = {
  ".timeout.connect": () => {
    const mesh = make({ timeout: { connect: "200ms" } })
    mesh.request()
    expect(mesh.last.call.connectTimeout).toBe(200)
  },
  ".timeout.request": () => {
    const mesh = make({ timeout: { request: "2s" } })
    const { receiver } = mesh.request()
    mesh.ticker.advance(1_990)
    expect(receiver.done).toBe(false)
    mesh.ticker.advance(20)
    expect(receiver.fault?.message).toContain("2000 ms (timeout.request)")
  },
  ".timeout.perTry": () => {
    const mesh = make({ timeout: { perTry: "300ms" } })
    const { receiver } = mesh.request()
    mesh.ticker.advance(310)
    expect(receiver.fault?.message).toContain("300 ms (timeout.perTry)")
  },
  ".timeout.idle": () => {
    const mesh = make({ timeout: { idle: "10s" } })
    const { receiver } = mesh.request()
    mesh.ticker.advance(10_010)
    expect(receiver.fault?.message).toContain("10000 ms (timeout.idle)")
  },
  ".timeout.tcpIdle": () => {
    const mesh = make({ timeout: { tcpIdle: "10s" } })
    const { receiver } = mesh.tunnel()
    mesh.ticker.advance(10_010)
    expect(receiver.fault?.message).toContain("10000 ms (timeout.tcpIdle)")
  },
  ".retry": () => {
    const mesh = make({ retry: "off" }, 2)
    const { receiver } = mesh.request()
    refuse(mesh)
    expect(receiver.fault?.code).toBe("upstream_connect")
    expect(mesh.trail).toBe("a")
  },
  ".retry.attempts": () => {
    const mesh = make({ retry: { attempts: 3 } }, 2)
    mesh.request()
    for (let i = 0; i < 4; i++) {
      refuse(mesh)
      mesh.ticker.advance(300)
    }
    expect(mesh.trail).toBe("abab")
  },
  ".retry.on": () => {
    const mesh = make({ retry: { on: ["5xx"] } }, 2)
    mesh.request()
    mesh.last.respond(500)
    mesh.ticker.advance(30)
    expect(mesh.trail).toBe("ab")
  },
  ".retry.methods": () => {
    const mesh = make({ retry: { methods: ["POST"] } }, 2)
    for (const method of ["GET", "POST"]) {
      mesh.request(method)
      mesh.last.fault("upstream_reset", true)
      mesh.ticker.advance(30)
    }
    expect(mesh.trail).toBe("aba")
  },
  ".retry.budget.ratio": () => {
    const mesh = make({ retry: { budget: { ratio: 1, minPerSecond: 0 } } }, 2)
    mesh.request()
    refuse(mesh)
    expect(mesh.trail).toBe("ab")
  },
  ".retry.budget.minPerSecond": () => {
    // One retry in the ten seconds of the window.
    const mesh = make({ retry: { budget: { ratio: 0, minPerSecond: 0.1 } } }, 2)
    mesh.request()
    refuse(mesh)
    refuse(mesh)
    expect(mesh.trail).toBe("ab")
  },
  ".retry.budget.window": () => {
    // One retry in the one second of the window.
    const budget = { ratio: 0, minPerSecond: 1, window: "1s" } as const
    const mesh = make({ retry: { budget } }, 2)
    mesh.request()
    refuse(mesh)
    refuse(mesh)
    expect(mesh.trail).toBe("ab")
    mesh.ticker.advance(1_100)
    // b's turn now; the retry before was not one.
    mesh.request()
    refuse(mesh)
    expect(mesh.trail).toBe("abba")
  },
  ".retry.backoff.base": () => {
    const mesh = make({ retry: { backoff: { base: "2s", max: "4s" } } })
    mesh.request()
    refuse(mesh)
    mesh.ticker.advance(990)
    expect(mesh.trail).toBe("a")
    mesh.ticker.advance(20)
    expect(mesh.trail).toBe("aa")
  },
  ".retry.backoff.max": () => {
    const mesh = make({ retry: { attempts: 3, backoff: { base: "1s", max: "1s" } } })
    mesh.request()
    for (const trail of ["aa", "aaa", "aaaa"]) {
      refuse(mesh)
      mesh.ticker.advance(510)
      expect(mesh.trail).toBe(trail)
    }
  },
  ".retry.bodyLimit": () => {
    const mesh = make({ retry: { methods: ["*"], bodyLimit: 3 } }, 2)
    for (const body of ["123", "1234"]) {
      const { stream } = mesh.request("POST", { body: true })
      stream.write(bytes(body))
      mesh.last.fault("upstream_reset", true)
      mesh.ticker.advance(30)
    }
    expect(mesh.trail).toBe("abb")
  },
  ".breaker": () => {
    const mesh = make({ retry: "off", ejection: "off", breaker: "off" }, 2)
    answer(mesh, 40, () => 500)
    expect(status(mesh)).toMatchObject({ breaker: undefined, selected: true })
  },
  ".breaker.consecutiveFailures": () => {
    const mesh = make({ retry: "off", breaker: { consecutiveFailures: 2 } })
    answer(mesh, 1, () => 500)
    expect(status(mesh).breaker).toBe("closed")
    answer(mesh, 1, () => 500)
    expect(status(mesh).breaker).toBe("open")
  },
  ".breaker.open.base": () => {
    const open = { base: "10s", max: "60s" } as const
    const mesh = make({ retry: "off", breaker: { consecutiveFailures: 1, open } })
    answer(mesh, 1, () => 500)
    mesh.ticker.advance(9_990)
    expect(status(mesh).selected).toBe(false)
    mesh.ticker.advance(10)
    expect(status(mesh).selected).toBe(true)
  },
  ".breaker.open.max": () => {
    const open = { base: "1s", max: "1s" } as const
    const mesh = make({ retry: "off", ejection: "off", breaker: { consecutiveFailures: 1, open } })
    for (let probes = 0; probes < 3; probes++) {
      answer(mesh, 1, () => 500)
      mesh.ticker.advance(990)
      expect(status(mesh).selected).toBe(false)
      mesh.ticker.advance(10)
      expect(status(mesh).selected).toBe(true)
    }
  },
  ".breaker.probe": () => {
    const breaker = { consecutiveFailures: 1, probe: "3s" } as const
    const mesh = make({ retry: "off", ejection: "off", breaker })
    answer(mesh, 1, () => 500)
    mesh.ticker.advance(1_000)
    mesh.request()
    mesh.ticker.advance(2_990)
    expect(status(mesh).selected).toBe(false)
    mesh.ticker.advance(10)
    expect(status(mesh).selected).toBe(true)
  },
  ".ejection": () => {
    const mesh = make({ retry: "off", breaker: "off", ejection: "off" }, 2)
    answer(mesh, 40, () => 500)
    expect(ejected(mesh, 2)).toBe("")
  },
  ".ejection.consecutive5xx": () => {
    const mesh = make({ retry: "off", ejection: { consecutive5xx: 2 } }, 2)
    answer(mesh, 2, (endpoint) => (endpoint === "a" ? 500 : 200))
    expect(ejected(mesh, 2)).toBe("")
    answer(mesh, 2, (endpoint) => (endpoint === "a" ? 500 : 200))
    expect(ejected(mesh, 2)).toBe("a")
  },
  ".ejection.base": () => {
    const mesh = make({ retry: "off", ejection: { consecutive5xx: 1, base: "60s" } })
    answer(mesh, 1, () => 500)
    expect(status(mesh).ejectedUntil).toBe(mesh.ticker.wall() + 60_000)
  },
  ".ejection.max": () => {
    const ejection = { consecutive5xx: 1, base: "30s", max: "40s" } as const
    const mesh = make({ retry: "off", ejection })
    answer(mesh, 1, () => 500)
    mesh.ticker.advance(30_000)
    answer(mesh, 1, () => 500)
    expect(status(mesh).timesEjected).toBe(2)
    expect(status(mesh).ejectedUntil).toBe(mesh.ticker.wall() + 40_000)
  },
  ".ejection.maxPercent": () => {
    const mesh = make({ retry: "off", ejection: { consecutive5xx: 1, maxPercent: 50 } }, 4)
    answer(mesh, 12, () => 500)
    expect(ejected(mesh, 4)).toHaveLength(2)
  },
  ".ejection.interval": () => {
    const mesh = oneWorse({ interval: "1s" }, 6, 100)
    expect(afterInterval(mesh, 1_000, 6)).toBe("a")
    // An interval in rotation makes up for an ejection.
    expect(status(mesh).timesEjected).toBe(1)
    afterInterval(mesh, 31_500, 6)
    expect(status(mesh).timesEjected).toBe(0)
  },
  ".ejection.successRateDeviations": () => {
    // 40 points below the median of 90 %, from which the others are 10 away: 2.7 deviations.
    const judge = (successRateDeviations: number) =>
      afterInterval(rates({ successRateDeviations }, [0.5, 0, 0.2, 0, 0.2, 0], 100), 10_000, 6)
    expect(judge(2.6)).toBe("a")
    expect(judge(2.8)).toBe("")
  },
  ".ejection.successRateMargin": () => {
    const judge = (successRateMargin: number) =>
      afterInterval(oneWorse({ successRateMargin }, 6, 100), 10_000, 6)
    expect(judge(49)).toBe("a")
    expect(judge(51)).toBe("")
  },
  ".ejection.minEndpoints": () => {
    const judge = (minEndpoints: number) =>
      afterInterval(oneWorse({ minEndpoints, successRateDeviations: 1 }, 4, 100), 10_000, 4)
    expect(judge(4)).toBe("a")
    expect(judge(5)).toBe("")
  },
  ".ejection.minRequests": () => {
    expect(afterInterval(oneWorse({ minRequests: 20 }, 6, 20), 10_000, 6)).toBe("a")
    expect(afterInterval(oneWorse({ minRequests: 21 }, 6, 20), 10_000, 6)).toBe("")
  },
  ".balance.kind": () => {
    /** Who gets the next 40 requests, one after the other, when `a` has been slow. */
    const trail = (kind: "p2c_ewma" | "round_robin" | "least_request") => {
      const mesh = new Fixture({ balance: { kind } }, some(2))
      for (let i = 0; i < 10; i++) {
        mesh.request()
        mesh.ticker.advance(mesh.trail.at(-1) === "a" ? 300 : 10)
        mesh.last.respond(200)
      }
      const before = mesh.trail.length
      answer(mesh, 40, () => 200)
      return mesh.trail.slice(before)
    }
    expect(trail("p2c_ewma")).toBe("b".repeat(40))
    expect(trail("round_robin")).toMatch(/^((ab){20}|(ba){20})$/)
    expect(trail("least_request")).toMatch(/aa/)
    expect(trail("least_request")).toMatch(/bb/)
  },
  ".balance.initial": () => {
    const mesh = new Fixture({ balance: { kind: "p2c_ewma", initial: "200ms" } }, some(1))
    mesh.request()
    mesh.ticker.advance(100)
    mesh.last.respond(200)
    mesh.show(some(2))
    // The newcomer is free to try; while its answer is awaited another 2 × 200 ms is dear.
    mesh.request()
    mesh.request()
    expect(mesh.trail).toBe("aba")
  },
  ".balance.decay": () => {
    const mesh = new Fixture({ balance: { kind: "p2c_ewma", decay: "1s" } }, some(1))
    mesh.request()
    mesh.ticker.advance(100)
    mesh.last.respond(200)
    mesh.ticker.advance(1_000)
    expect(status(mesh).ewma).toBeCloseTo(100 / Math.E, 3)
  }
}

describe("a policy's", () => {
  it.each(Object.entries(fields))("%s holds", (_, holds) => holds())
})
