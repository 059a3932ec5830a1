/** The order of policies is composition: a step more is a line more, whatever it does. */
import { describe, expect, it } from "vitest"
import type { Fault } from "../../model/Fault.ts"
import { makePolicy, type PolicyInput } from "../../schema/PolicySchema.ts"
import { endpointView, Fixture, microtasks, payments } from "../../testing/OutboundFixture.ts"
import { stepService } from "../../testing/TroubledEndpoints.ts"
import { type CallInFlight, type CallStep, held } from "./CallStep.ts"
import type { EndpointGuard, EndpointStep, GuardedAttempt } from "./EndpointStep.ts"
import { compileStack, type Stack, type StackLines, stackLines } from "./Stack.ts"
import { StepSlot } from "./StepSlot.ts"

const two = [endpointView("a"), endpointView("b")]
const inTurn: PolicyInput = { balance: { kind: "round_robin" } }

const call = (step: CallStep): StackLines => ({
  ...stackLines,
  call: [{ of: () => "made up", make: () => step }, ...stackLines.call]
})
const endpoint = (step: EndpointStep): StackLines => ({
  ...stackLines,
  endpoint: [{ of: () => "made up", make: () => step }, ...stackLines.endpoint]
})

const overflow: Fault = {
  code: "overflow",
  message: "no room",
  node: "here",
  service: payments,
  sent: false
}

const expectNothingLeft = (mesh: Fixture): void => {
  expect(mesh.ticker.wheel.size).toBe(0)
  expect(Object.values(mesh.counter("skein_endpoint_in_flight"))).toEqual([])
  for (const { ends } of mesh.observer.all) expect(ends).toHaveLength(1)
}

/** Refuses every third call before anything is sent. */
class EveryThird implements CallStep {
  #calls = 0

  begin(): Fault | undefined {
    return ++this.#calls % 3 === 0 ? overflow : undefined
  }
}

/** Keeps every call for a while. */
class Delay implements CallStep {
  readonly #millis: number

  constructor(millis: number) {
    this.#millis = millis
  }

  begin(one: CallInFlight): typeof held {
    one.after(this.#millis, this)
    return held
  }

  due(one: CallInFlight): void {
    one.proceed(this)
  }
}

/** So many attempts at an endpoint at a time. */
class Bulkhead implements EndpointStep {
  readonly most: number
  /** Places taken, at all endpoints. */
  taken = 0

  constructor(most: number) {
    this.most = most
  }

  enter(): EndpointGuard {
    let here = 0
    return {
      admit: () => {
        if (here >= this.most) return overflow
        here++
        this.taken++
        return undefined
      },
      closed: () => {
        here--
        this.taken--
      }
    }
  }
}

describe("a made-up step of the call", () => {
  it("refuses every third call, which costs neither endpoint nor retry", async () => {
    const mesh = new Fixture(inTurn, two, { lines: call(new EveryThird()) })
    const calls = [1, 2, 3, 4, 5, 6].map(() => mesh.request())
    await microtasks()
    expect(mesh.sent).toHaveLength(4)
    expect(calls.map(({ receiver }) => receiver.fault?.message)).toEqual([
      undefined,
      undefined,
      "no room",
      undefined,
      undefined,
      "no room"
    ])
    for (const sent of mesh.sent) sent.respond(200)
    expect(mesh.counter("skein_retries_total")).toEqual({})
    expectNothingLeft(mesh)
  })

  it("a refused call is not told of its refusal once its caller has left", async () => {
    const mesh = new Fixture(inTurn, two, { lines: call(new EveryThird()) })
    mesh.request()
    mesh.request()
    const third = mesh.request()
    third.cancel()
    await microtasks()
    expect(third.receiver.fault).toBeUndefined()
    expect(third.observed.ends).toMatchObject([{ outcome: { code: "client_gone" } }])
  })

  it("holds calls, and what has come of them goes on with them", () => {
    const mesh = new Fixture(inTurn, two, { lines: call(new Delay(50)) })
    const { receiver, stream } = mesh.request("POST", { body: true })
    expect(stream.write(Buffer.from("abc"))).toBe(false)
    mesh.ticker.advance(40)
    expect(mesh.sent).toEqual([])
    mesh.ticker.advance(10)
    expect(mesh.last.body).toBe("abc")
    expect(receiver.writables).toBe(1)
    stream.end([])
    mesh.last.respond(200)
    expect(receiver.head?.status).toBe(200)
    expectNothingLeft(mesh)
  })

  it("stands outside the steps after it: the time of those has not begun", () => {
    const policy: PolicyInput = { ...inTurn, retry: "off", timeout: { request: "60ms" } }
    const mesh = new Fixture(policy, two, { lines: call(new Delay(50)) })
    const { receiver } = mesh.request()
    mesh.ticker.advance(100)
    expect(receiver.fault).toBeUndefined()
    mesh.ticker.advance(10)
    expect(receiver.fault?.code).toBe("upstream_timeout")
    expectNothingLeft(mesh)
  })

  it("holds no call whose caller has left, or whose node stops", () => {
    const mesh = new Fixture(inTurn, two, { lines: call(new Delay(50)) })
    mesh.request().cancel()
    const { receiver } = mesh.request()
    mesh.outbound.close()
    expect(receiver.fault?.code).toBe("draining")
    mesh.ticker.advance(1_000)
    expect(mesh.sent).toEqual([])
    expectNothingLeft(mesh)
  })

  it("cannot begin a call again that waits for its next attempt", () => {
    const step: CallStep = {
      begin: (one) => void one.after(20, step),
      due: (one) => one.proceed(step)
    }
    const policy: PolicyInput = { ...inTurn, retry: { attempts: 1, on: ["5xx"] } }
    const mesh = new Fixture(policy, [endpointView("a")], { lines: call(step), random: () => 0.99 })
    mesh.request()
    mesh.last.fault("upstream_connect", false)
    mesh.ticker.advance(20)
    expect(mesh.sent).toHaveLength(1)
    mesh.ticker.advance(100)
    expect(mesh.sent).toHaveLength(2)
    mesh.last.respond(200)
    expectNothingLeft(mesh)
  })

  it("is told everything of a call, in its order, and keeps what it likes of it", () => {
    const told: Array<string> = []
    const names = new StepSlot<string>()
    const tell = (one: CallInFlight, what: string): undefined => {
      told.push(`${names.of(one)} ${what}`)
    }
    let count = 0
    const step: CallStep = {
      begin: (one) => {
        names.put(one, `call${++count}`)
        return tell(one, "begin")
      },
      sent: (one) => tell(one, "sent"),
      answered: (one) => tell(one, "answered"),
      failed: (one, { verdict }) => tell(one, `failed ${verdict.name}`),
      judged: (one, { name }) => tell(one, `judged ${name}`),
      over: (one) => tell(one, "over")
    }
    const mesh = new Fixture({ ...inTurn, retry: { on: ["5xx"] } }, two, { lines: call(step) })
    mesh.request()
    mesh.last.respond(500)
    mesh.ticker.advance(100)
    mesh.last.respond(200)
    expect(told).toEqual(
      [
        ["begin", "sent", "answered", "failed server_error"],
        ["sent", "answered", "judged success", "judged success", "over"]
      ].flatMap((part) => part.map((what) => `call1 ${what}`))
    )
    told.length = 0
    mesh.request()
    mesh.last.respond(200)
    expect(told).toEqual(["begin", "sent", "answered", "over"].map((what) => `call2 ${what}`))
  })
})

describe("a made-up step of the endpoint", () => {
  it("a bulkhead sends calls elsewhere, refuses them when all are full, and frees its places", async () => {
    const bulkhead = new Bulkhead(1)
    const mesh = new Fixture(inTurn, two, { lines: endpoint(bulkhead) })
    mesh.request()
    mesh.last.head(200)
    mesh.request()
    mesh.last.head(200)
    expect(mesh.trail).toBe("ab")
    const third = mesh.request()
    await microtasks()
    mesh.ticker.advance(1_000)
    await microtasks()
    expect(third.receiver.fault).toMatchObject({ code: "overflow", message: "no room" })
    expect(mesh.sent).toHaveLength(2)
    // It is held against nobody.
    for (const { failures, breaker } of mesh.outbound.endpoints(payments)) {
      expect({ failures, breaker }).toEqual({ failures: 0, breaker: "closed" })
    }
    mesh.sent[0]!.finish()
    mesh.request()
    await microtasks()
    mesh.ticker.advance(1_000)
    expect(mesh.trail).toBe("aba")
    mesh.last.respond(200)
    mesh.sent[1]!.finish()
    expect(bulkhead.taken).toBe(0)
    expectNothingLeft(mesh)
  })

  it("that refuses gives back what those outside it have taken, and no more", async () => {
    const outer = new Bulkhead(5)
    const inner = new Bulkhead(0)
    const lines = {
      ...stackLines,
      endpoint: [
        { of: () => 1, make: () => outer },
        { of: () => 2, make: () => inner }
      ]
    }
    const mesh = new Fixture({ ...inTurn, retry: "off" }, two, { lines })
    const { receiver } = mesh.request()
    await microtasks()
    expect(receiver.fault?.code).toBe("overflow")
    expect([outer.taken, inner.taken]).toEqual([0, 0])
    expectNothingLeft(mesh)
  })

  it("is told everything of an attempt, in its order", () => {
    const told: Array<string> = []
    const tell =
      (what: string) =>
      (attempt: GuardedAttempt): undefined => {
        told.push(`${attempt.answer?.name ?? "–"} ${what}`)
      }
    const guard: EndpointGuard = {
      admit: tell("admit"),
      answered: tell("answered"),
      settled: tell("settled"),
      abandoned: tell("abandoned"),
      closed: tell("closed"),
      leave: () => told.push("leave")
    }
    const mesh = new Fixture(inTurn, [endpointView("a")], {
      lines: endpoint({ enter: () => guard })
    })
    mesh.request()
    mesh.last.respond(200)
    mesh.request().cancel()
    mesh.show([])
    expect(told).toEqual([
      ...["– admit", "– answered", "success settled", "success closed"],
      ...["– admit", "– abandoned", "– closed"],
      "leave"
    ])
  })
})

describe("a policy's steps", () => {
  const names = (input: PolicyInput): ReadonlyArray<string | undefined> => {
    const policy = makePolicy(input)
    return [...stackLines.call, ...stackLines.endpoint].map(
      ({ make }) => make(policy, stepService)?.constructor.name
    )
  }

  it.each<[PolicyInput, ReadonlyArray<string>]>([
    [{}, ["TotalTimeout", "RetryStep", "ScoreStep", "BreakerStep", "EjectionStep"]],
    [{ retry: "off", breaker: "off" }, ["TotalTimeout", "ScoreStep", "EjectionStep"]],
    [{ retry: { attempts: 0 }, ejection: "off" }, ["TotalTimeout", "ScoreStep", "BreakerStep"]],
    [
      { timeout: { perTry: "1s" }, breaker: "off", ejection: "off" },
      ["TotalTimeout", "RetryStep", "TryTimeout", "ScoreStep"]
    ]
  ])("of %j are those it has: %j", (policy, expected) => {
    expect(names(policy).filter((name) => name !== undefined)).toEqual(expected)
  })

  it("stay while their part of it does, with what they know", () => {
    const compiled = (input: PolicyInput, previous?: Stack) =>
      compileStack(makePolicy(input), stepService, stackLines, previous)
    const before = compiled({ timeout: { request: "1s" } })
    const after = compiled({ timeout: { request: "2s" }, breaker: "off" }, before)
    const kept = (one: "call" | "endpoint") =>
      after.made[one].map((step, index) => step !== undefined && step === before.made[one][index])
    expect(kept("call")).toEqual([false, true, false])
    expect(kept("endpoint")).toEqual([true, false, true])
    expect(after.balancer).toBe(before.balancer)
  })
})
