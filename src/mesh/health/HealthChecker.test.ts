import http from "node:http"
import https from "node:https"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, TestClock } from "effect"
import { TestCa } from "../../../test/fixtures/Certificates.ts"
import type { HealthCheck, LocalService } from "../../model/LocalService.ts"
import { freePort, payments, rawProgram, startProgram } from "../../testing/InboundFixture.ts"
import { makeHealthChecker } from "./HealthChecker.ts"
import { type ProbeTarget, probe } from "./HealthProbe.ts"
import type { CheckResult } from "./HealthState.ts"

const check: HealthCheck = { kind: "http", path: "/healthz", interval: 1_000, timeout: 200 }

const services = (port: number, health: HealthCheck | undefined = check): Array<LocalService> => [
  {
    name: payments,
    protocol: "http",
    endpoints: [{ id: "0", host: "127.0.0.1", port, weight: 100, health }]
  }
]

/** A checker whose probes give what `results` says for the port, and what it published. */
const makeChecked = Effect.gen(function* () {
  const results = new Map<number, boolean>()
  const probed: Array<number> = []
  const changes: Array<string> = []
  const checker = yield* makeHealthChecker({
    onChange: (service, id, healthy, reason) =>
      changes.push(`${service}/${id} ${healthy ? "+" : "-"} ${reason}`),
    probe: ({ port }: ProbeTarget) =>
      Effect.sync((): CheckResult => {
        probed.push(port)
        const ok = results.get(port) ?? true
        return { ok, reason: `port ${port}` }
      })
  })
  return { results, probed, changes, setServices: checker.setServices }
})

/** Time passes until the next probe: intervals differ by chance, so two may lie in 1.9 s or 2.2. */
const nextProbe = (probed: ReadonlyArray<number>) =>
  Effect.gen(function* () {
    const before = probed.length
    while (probed.length === before) yield* TestClock.adjust("50 millis")
  })

describe("makeHealthChecker", () => {
  it.scoped("checks at once, then in every interval, and publishes changes only", () =>
    Effect.gen(function* () {
      const { results, probed, changes, setServices } = yield* makeChecked
      yield* setServices(services(1))
      yield* TestClock.adjust(0)
      expect(changes).toEqual(["payments/0 + port 1"])
      yield* TestClock.adjust(5_500)
      // Intervals of 900 to 1100 ms.
      expect(probed.length).toBeGreaterThanOrEqual(6)
      expect(probed.length).toBeLessThanOrEqual(7)
      expect(changes).toHaveLength(1)
      results.set(1, false)
      yield* nextProbe(probed)
      expect(changes).toHaveLength(1)
      yield* nextProbe(probed)
      expect(changes.at(-1)).toBe("payments/0 - port 1")
      results.set(1, true)
      yield* nextProbe(probed)
      expect(changes.at(-1)).toBe("payments/0 + port 1")
      expect(changes).toHaveLength(3)
    })
  )

  it.scoped("keeps what it knows over a reload, and starts anew for another address", () =>
    Effect.gen(function* () {
      const { results, probed, changes, setServices } = yield* makeChecked
      yield* setServices(services(1))
      yield* TestClock.adjust(0)
      yield* setServices(services(1))
      yield* setServices(services(1, { ...check, path: "/other" }))
      yield* TestClock.adjust(0)
      expect(changes).toHaveLength(1)
      results.set(2, false)
      yield* setServices(services(2))
      yield* TestClock.adjust(0)
      expect(changes.at(-1)).toBe("payments/0 - port 2")
      yield* setServices(services(2, undefined))
      yield* setServices([])
      const before = probed.length
      yield* TestClock.adjust(10_000)
      expect(probed.length).toBe(before)
    })
  )

  it.scoped("does not check endpoints without a check", () =>
    Effect.gen(function* () {
      const { probed, setServices } = yield* makeChecked
      yield* setServices(services(1, { kind: "none" }))
      yield* TestClock.adjust(10_000)
      expect(probed).toEqual([])
    })
  )

  it.scoped("goes on checking when whoever is told of a change breaks", () =>
    Effect.gen(function* () {
      let told = 0
      let ok = true
      const { setServices } = yield* makeHealthChecker({
        onChange: () => {
          told++
          throw new Error("no")
        },
        probe: () => Effect.sync(() => ({ ok, reason: "" }))
      })
      yield* setServices(services(1))
      yield* TestClock.adjust(0)
      ok = false
      yield* TestClock.adjust(3_000)
      expect(told).toBe(2)
    })
  )
})

const withProgram = <A>(
  server: Parameters<typeof startProgram>[0],
  use: (port: number) => Effect.Effect<A>
): Effect.Effect<A> =>
  Effect.acquireUseRelease(
    Effect.promise(() => startProgram(server)),
    ({ port }) => use(port),
    ({ close }) => Effect.promise(close)
  )

const target = (port: number, change: HealthCheck = check): ProbeTarget => {
  if (change.kind === "none") throw new Error("nothing to probe")
  return { host: "127.0.0.1", port, check: change }
}

describe("probe", () => {
  it.live("takes status 200 to 399 for healthy, and sends path and host", () => {
    const seen: Array<string> = []
    const server = http.createServer((request, response) => {
      seen.push(`${request.method} ${request.url} ${request.headers.host}`)
      response.statusCode = Number(request.url?.slice(1))
      response.end("x".repeat(1_000_000))
    })
    return withProgram(server, (port) =>
      Effect.gen(function* () {
        for (const [path, ok] of [
          ["/200", true],
          ["/302", true],
          ["/404", false],
          ["/503", false]
        ] as const) {
          const result = yield* probe(target(port, { ...check, path, host: "shop.internal" }))
          expect(result).toEqual({
            ok,
            reason: `GET ${path} at 127.0.0.1:${port}: status ${path.slice(1)}`
          })
        }
        expect(seen[0]).toBe("GET /200 shop.internal")
      })
    )
  })

  it.effect.each([30, 5_000])("fails after its timeout of %i ms when nobody answers", (timeout) =>
    withProgram(
      rawProgram(() => undefined),
      (port) =>
        Effect.gen(function* () {
          const asked = yield* Effect.fork(probe(target(port, { ...check, timeout })))
          yield* TestClock.adjust(timeout - 1)
          expect(asked.unsafePoll()).toBeNull()
          yield* TestClock.adjust(1)
          const result = yield* Fiber.join(asked)
          expect(result.ok).toBe(false)
          expect(result.reason).toContain(`no answer within ${timeout} ms`)
        })
    )
  )

  it.live("tcp: asks only for a connection", () =>
    Effect.gen(function* () {
      const tcp: HealthCheck = { kind: "tcp", interval: 1_000, timeout: 500 }
      const up = yield* withProgram(
        rawProgram(() => undefined),
        (port) => probe(target(port, tcp))
      )
      expect(up.ok).toBe(true)
      const port = yield* Effect.promise(freePort)
      const down = yield* probe(target(port, tcp))
      expect(down.ok).toBe(false)
      expect(down.reason).toBe(
        `connection to 127.0.0.1:${port}: ECONNREFUSED, nothing listens there`
      )
    })
  )
})

describe("probe of a program that only speaks TLS", () => {
  const ca = new TestCa()
  const tls = { ca: ca.cert, serverName: "pay.test", alpn: ["http/1.1"] }

  it.live("is well when it answers and is the right one", () =>
    Effect.acquireUseRelease(
      Effect.promise(() =>
        startProgram(
          https.createServer(ca.issue(["pay.test"]), ({ headers }, response) => {
            response.statusCode = headers.host === "pay.test" ? 200 : 500
            response.end()
          })
        )
      ),
      ({ port }) =>
        Effect.gen(function* () {
          const target = { host: "127.0.0.1", port, check, tls }
          const tcp = { kind: "tcp", interval: 1_000, timeout: 200 } as const
          expect(yield* probe(target)).toMatchObject({ ok: true })
          expect(yield* probe({ ...target, check: tcp })).toMatchObject({ ok: true })
          for (const checked of [check, tcp]) {
            const other = { ...target, check: checked, tls: { ...tls, serverName: "other.test" } }
            const { ok, reason } = yield* probe(other)
            expect(ok).toBe(false)
            expect(reason).toContain("for DNS:pay.test and not for other.test")
          }
        }),
      ({ close }) => Effect.promise(close)
    )
  )
})
