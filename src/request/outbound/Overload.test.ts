/** What the policies promise when everything fails at once. */
import { expect, it } from "vitest"
import type { PolicyInput } from "../../schema/PolicySchema.ts"
import { endpointView, Fixture, payments } from "../../testing/OutboundFixture.ts"
import { seededRandom } from "../../testing/simulator/EventQueue.ts"

const seed = 42
const all = ["a", "b", "c", "d"].map((letter) => endpointView(letter))

/** `perSecond` requests each second for `seconds`; `respond` answers every attempt. */
const load = (
  mesh: Fixture,
  perSecond: number,
  seconds: number,
  respond: (index: number) => void
): number => {
  let answered = 0
  const answerAll = () => {
    for (; answered < mesh.sent.length; answered++) respond(answered)
  }
  const ticks = 100
  for (let tick = 0; tick < seconds * ticks; tick++) {
    for (let i = 0; i < perSecond / ticks; i++) {
      mesh.request()
      answerAll()
    }
    mesh.ticker.advance(1_000 / ticks)
    answerAll()
  }
  mesh.ticker.advance(1_000)
  answerAll()
  return perSecond * seconds
}

const everything: PolicyInput = { retry: { attempts: 3, on: ["5xx"] } }

it(`retries of a service that fails altogether stay within the budget (seed ${seed})`, () => {
  const off: PolicyInput = { ...everything, breaker: "off", ejection: "off" }
  const mesh = new Fixture(off, all, { random: seededRandom(seed) })
  const requests = load(mesh, 500, 12, (index) => mesh.sent[index]?.respond(503))
  const retries = mesh.sent.length - requests
  expect(retries).toBe(mesh.counter("skein_retries_total")["gateway_error"])
  // 20 % of the requests and ten a second would be 1,100 in a window. As none helps it is
  // √(8 · 1,100), in each of two windows.
  expect(retries).toBeGreaterThan(50)
  expect(retries).toBeLessThan(2.5 * Math.sqrt(8 * 1_100))
  for (const { ends } of mesh.observer.all) {
    expect(ends).toMatchObject([{ outcome: { kind: "complete", status: 503 } }])
  }
  expect(mesh.ticker.wheel.size).toBe(0)
})

it.each(["wait for the failure", "leave before it"])(
  "retries that do not help shrink the budget, also when callers %s",
  (what) => {
    const backoff = { base: "1ms", max: "1ms" } as const
    const mesh = new Fixture(
      { retry: { attempts: 1, on: ["5xx"], backoff }, breaker: "off", ejection: "off" },
      all,
      { random: seededRandom(seed) }
    )
    for (let n = 0; n < 200; n++) {
      const { cancel, receiver } = mesh.request()
      mesh.last.respond(503)
      mesh.ticker.advance(20)
      if (!receiver.done) {
        if (what === "leave before it") cancel()
        else mesh.last.respond(503)
      }
      mesh.ticker.advance(30)
    }
    // 20 % of 200 calls and ten a second would be 140. As none helps it is √(8 · 140).
    expect(mesh.sent.length - 200).toBeGreaterThan(20)
    expect(mesh.sent.length - 200).toBeLessThan(1.5 * Math.sqrt(8 * 140))
  }
)

it(`a service that fails altogether is left in peace but for probes (seed ${seed})`, () => {
  const mesh = new Fixture(everything, all, { random: seededRandom(seed) })
  load(mesh, 500, 10, (index) => mesh.sent[index]?.respond(503))
  // Seven failures to open each circuit, and then 0.5–1.5 s, 1–3 s, 2–6 s… between probes.
  expect(mesh.sent.length).toBeLessThan(4 * (7 + 6))
  for (const { breaker } of mesh.outbound.endpoints(payments)) expect(breaker).toBe("open")
  expect(mesh.observer.all.every(({ ends }) => ends.length <= 1)).toBe(true)
})

it(`one slow and failing endpoint of two costs no request (seed ${seed})`, () => {
  const pair = all.slice(0, 2)
  const mesh = new Fixture(everything, pair, { random: seededRandom(seed) })
  const toA = () => mesh.outbound.endpoints(payments)[0]?.requests ?? 0
  load(mesh, 200, 5, (index) => mesh.sent[index]?.respond(200))
  const before = toA()
  expect(before).toBeGreaterThan(100)
  load(mesh, 200, 5, (index) =>
    mesh.sent[index]?.respond(mesh.sent[index].peer === pair[0]!.peer ? 503 : 200)
  )
  expect(toA() - before).toBeLessThan(10)
  for (const { status } of mesh.observer.all) expect(status).toBe(200)
})

it("no room on the way is held against no endpoint", () => {
  const mesh = new Fixture({ retry: "off" }, all.slice(0, 1))
  for (let i = 0; i < 50; i++) {
    const { receiver } = mesh.request()
    mesh.last.fault("overflow", false)
    expect(receiver.fault?.code).toBe("overflow")
  }
  const [endpoint] = mesh.outbound.endpoints(payments)
  expect(endpoint).toMatchObject({ breaker: "closed", failures: 0 })
  expect(endpoint?.ejectedUntil).toBeUndefined()
})

it("no room on the way is no success either: an open circuit waits for a real answer", () => {
  const mesh = new Fixture({ retry: "off" }, all.slice(0, 1), { random: () => 0.5 })
  for (let i = 0; i < 7; i++) {
    mesh.request()
    mesh.last.fault("upstream_reset", true)
  }
  mesh.ticker.advance(1_000)
  mesh.request()
  mesh.last.fault("overflow", false)
  expect(mesh.outbound.endpoints(payments)[0]?.breaker).toBe("open")
  mesh.request()
  mesh.last.respond(200)
  expect(mesh.outbound.endpoints(payments)[0]?.breaker).toBe("closed")
})

it("where there was no room is where the balancer looks last", () => {
  const mesh = new Fixture({ retry: "off" }, all.slice(0, 2))
  mesh.request()
  const full = mesh.last.peer
  mesh.last.fault("overflow", false)
  for (let i = 0; i < 10; i++) {
    mesh.request()
    expect(mesh.last.peer).not.toBe(full)
    mesh.last.respond(200)
  }
})
