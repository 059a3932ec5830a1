/** Retries of calls of gRPC: by its statuses, and when the program says (gRFC A6). */
import { describe, expect, it } from "vitest"
import type { FaultCode } from "../../model/Fault.ts"
import { grpcStatusNames } from "../../model/GrpcStatus.ts"
import type { RetryCondition } from "../../model/Policy.ts"
import type { PolicyInput } from "../../schema/PolicySchema.ts"
import { endpointView, Fixture } from "../../testing/OutboundFixture.ts"

/** The longest back-off there is by default. */
const backoff = 260

const make = (
  on: readonly [RetryCondition, ...Array<RetryCondition>],
  retry: Exclude<PolicyInput["retry"], "off" | undefined> = {},
  letters = "ab"
): Fixture =>
  new Fixture(
    {
      balance: { kind: "round_robin" },
      breaker: "off",
      ejection: "off",
      retry: { on, methods: ["POST"], attempts: 3, ...retry }
    },
    [...letters].map((letter) => endpointView(letter)),
    { protocol: "grpc" }
  )

/** Answers with trailers alone. */
const say = (mesh: Fixture, code: number, pushback?: string): void =>
  mesh.last.respond(200, "", [
    ...["grpc-status", String(code)],
    ...(pushback === undefined ? [] : ["grpc-retry-pushback-ms", pushback])
  ])

const statuses = grpcStatusNames.flatMap((name, code) =>
  code === 0 ? [] : [{ code, on: name.toLowerCase() as Lowercase<Exclude<typeof name, "OK">> }]
)

describe("a status of gRPC", () => {
  it.each(statuses)("is retried where the policy names it: $on", ({ code, on }) => {
    const mesh = make([on])
    const { receiver } = mesh.request("POST")
    say(mesh, code)
    mesh.ticker.advance(backoff)
    expect(mesh.trail).toBe("ab")
    say(mesh, 0)
    expect(receiver.head?.fields).toEqual(["grpc-status", "0"])
  })

  it.each(statuses)("is passed on where it names all others: not $on", ({ code, on }) => {
    const [first, ...others] = statuses.map((one) => one.on).filter((one) => one !== on)
    if (first === undefined) throw new Error("there are sixteen")
    const mesh = make([first, ...others])
    const { receiver } = mesh.request("POST")
    say(mesh, code)
    expect(receiver.trailers).toBeDefined()
    mesh.ticker.advance(backoff)
    expect(mesh.trail).toBe("a")
  })

  it("is what a status of HTTP means to a client of gRPC, where a proxy in between answered", () => {
    const mesh = make(["unavailable"])
    mesh.request("POST")
    mesh.last.respond(429)
    mesh.ticker.advance(backoff)
    mesh.last.respond(404)
    mesh.ticker.advance(backoff)
    expect(mesh.trail).toBe("ab")
  })

  it.each<[FaultCode, RetryCondition]>([
    ["upstream_reset", "unavailable"],
    ["upstream_timeout", "deadline_exceeded"],
    ["rate_limited", "resource_exhausted"]
  ])("is what the mesh would answer: %s is %s", (code, on) => {
    const mesh = make([on])
    mesh.request("POST")
    mesh.last.fault(code, true)
    mesh.ticker.advance(backoff)
    expect(mesh.trail).toBe("ab")
  })

  it("of a call that the mesh refuses for its own sake is never retried", () => {
    const mesh = make(["internal", "permission_denied"])
    mesh.request("POST")
    mesh.last.fault("denied", false)
    mesh.ticker.advance(backoff)
    expect(mesh.trail).toBe("a")
  })

  it("means nothing to services of HTTP", () => {
    const policy: PolicyInput = { retry: { on: ["unavailable"], methods: ["POST"] } }
    const mesh = new Fixture(policy, [endpointView("a"), endpointView("b")])
    mesh.request("POST")
    mesh.last.respond(503, "", ["grpc-status", "14"])
    mesh.ticker.advance(backoff)
    expect(mesh.trail).toHaveLength(1)
  })

  it("that comes behind a message is passed on", () => {
    const mesh = make(["unavailable"])
    const { receiver } = mesh.request("POST")
    mesh.last.head(200)
    mesh.last.data("message")
    mesh.last.finish(["grpc-status", "14"])
    expect(receiver.trailers).toEqual(["grpc-status", "14"])
    mesh.ticker.advance(backoff)
    expect(mesh.trail).toBe("a")
  })
})

describe("pushback", () => {
  it("says when the next attempt is made, whoever gets it", () => {
    const mesh = make(["unavailable"])
    mesh.request("POST")
    say(mesh, 14, "1000")
    mesh.ticker.advance(990)
    expect(mesh.trail).toBe("a")
    mesh.ticker.advance(10)
    expect(mesh.trail).toBe("ab")
  })

  it("of 0 means at once", () => {
    const mesh = make(["unavailable"])
    mesh.request("POST")
    say(mesh, 14, "0")
    expect(mesh.trail).toBe("ab")
  })

  it.each(["-1", "later", "5001"])("of %s means that the answer is passed on", (value) => {
    const mesh = make(["unavailable"])
    const { receiver } = mesh.request("POST")
    say(mesh, 14, value)
    expect(receiver.head?.fields).toContain(value)
    mesh.ticker.advance(6_000)
    expect(mesh.trail).toBe("a")
    expect(mesh.ticker.wheel.size).toBe(0)
  })

  it("makes no status one to retry", () => {
    const mesh = make(["unavailable"])
    mesh.request("POST")
    say(mesh, 9, "0")
    mesh.ticker.advance(backoff)
    expect(mesh.trail).toBe("a")
  })

  it("counts as any retry: by attempts, by the budget, before the deadline", () => {
    const few = make(["unavailable"], { attempts: 1 })
    few.request("POST")
    say(few, 14, "0")
    say(few, 14, "0")
    expect(few.trail).toBe("ab")

    const poor = make(["unavailable"], { budget: { ratio: 0.1, minPerSecond: 0 } })
    poor.request("POST")
    say(poor, 14, "0")
    expect(poor.trail).toBe("a")

    const hasty = make(["unavailable"])
    const { receiver } = hasty.request("POST", { deadline: 500 })
    say(hasty, 14, "600")
    expect(receiver.head).toBeDefined()
    expect(hasty.trail).toBe("a")
  })

  it("begins the doubling of waits anew", () => {
    const wait = { base: "1s", max: "4s" } as const
    const mesh = make(["unavailable"], { attempts: 10, backoff: wait })
    /** How long the next attempt is waited for. */
    const next = (): number => {
      const before = mesh.sent.length
      const since = mesh.ticker.now()
      while (mesh.sent.length === before) mesh.ticker.advance(10)
      return mesh.ticker.now() - since
    }
    mesh.request("POST")
    for (let i = 0; i < 3; i++) {
      say(mesh, 14)
      next()
    }
    say(mesh, 14, "20")
    expect(next()).toBe(20)
    say(mesh, 14)
    expect(next()).toBeLessThanOrEqual(1_010)
  })
})

describe("what the program is told", () => {
  it("is how many attempts there were, with those of the client", () => {
    const mesh = make(["unavailable"])
    const fields = ["grpc-previous-rpc-attempts", "1", "x-other", "1"]
    mesh.request("POST", { head: { fields } })
    expect(mesh.last.call.head?.fields).toEqual(fields)
    say(mesh, 14, "0")
    expect(mesh.last.call.head?.fields).toEqual(["x-other", "1", "grpc-previous-rpc-attempts", "2"])
    say(mesh, 14, "0")
    expect(mesh.last.call.head?.fields).toEqual(["x-other", "1", "grpc-previous-rpc-attempts", "3"])
  })
})

describe("the budget", () => {
  it("learns from calls that fail to their end by a status that is no failure to others", () => {
    const settled = (code: number): number => {
      const mesh = make(["aborted"], { attempts: 2, budget: { ratio: 0, minPerSecond: 10 } })
      let calls = 0
      // Until it is used up.
      for (;;) {
        calls++
        mesh.request("POST")
        let tries = 1
        while (tries < 3) {
          const before = mesh.sent.length
          say(mesh, tries < 3 ? 10 : code)
          mesh.ticker.advance(backoff)
          if (mesh.sent.length === before) return calls
          tries++
        }
        say(mesh, code)
        if (calls > 200) return calls
      }
    }
    expect(settled(10)).toBeLessThan(settled(0))
  })
})
