/**
 * What throws behind the outbound stack (an observer, a step, a receiver, an endpoint's side) costs
 * the call it was thrown in at most: it is reported once, goes no further, and leaves nothing behind.
 */
import { describe, expect, it } from "vitest"
import { noFields } from "../../model/Exchange.ts"
import type { PolicyInput } from "../../schema/PolicySchema.ts"
import { endpointView, Fixture, microtasks } from "../../testing/OutboundFixture.ts"
import type { CallStep } from "./CallStep.ts"
import type { EndpointGuard } from "./EndpointStep.ts"
import { stackLines } from "./Stack.ts"

const two = [endpointView("a"), endpointView("b")]
const policy: PolicyInput = {
  balance: { kind: "round_robin" },
  timeout: { request: "5s", perTry: "1s" },
  retry: { on: ["5xx", "timeout"] }
}
const broken = new Error("thrown by the test")
const breaks = (): never => {
  throw broken
}

/** A mesh that collects what throws, and in which one thing does. */
const meshWith = (lines = stackLines) => {
  const defects: Array<unknown> = []
  return { defects, mesh: new Fixture(policy, two, { defects, lines }) }
}

const expectContained = (mesh: Fixture, defects: ReadonlyArray<unknown>, times = 1): void => {
  expect(defects).toEqual(new Array(times).fill(broken))
  expect(mesh.ticker.wheel.size).toBe(0)
  expect(Object.values(mesh.counter("skein_endpoint_in_flight"))).toEqual([])
  for (const { inFlight } of mesh.outbound.services()) expect(inFlight).toBe(0)
}

describe("an observer that throws costs the call nothing", () => {
  it.each(["responded", "endpoint", "event", "end"] as const)("in %s", (method) => {
    const { defects, mesh } = meshWith()
    const begin = mesh.observer.begin.bind(mesh.observer)
    mesh.observer.begin = (info) => ({ ...begin(info), [method]: breaks })
    const { receiver } = mesh.request()
    if (method === "event") {
      mesh.last.respond(500)
      mesh.ticker.advance(300)
    }
    mesh.last.respond(200)
    expect(receiver.head?.status).toBe(200)
    expect(receiver.trailers).toEqual(noFields)
    // Each attempt is told.
    expectContained(mesh, defects)
  })

  it("in begin, whether or not there is such a service", async () => {
    const { defects, mesh } = meshWith()
    mesh.request()
    mesh.last.respond(200)
    mesh.observer.begin = breaks
    const { receiver } = mesh.request()
    mesh.last.respond(200)
    expect(receiver.head?.status).toBe(200)
    mesh.view.set(new Map())
    const nobody = mesh.request()
    await microtasks()
    expect(nobody.receiver.fault?.code).toBe("no_healthy_endpoint")
    expect(defects).toEqual([broken, broken])
  })

  it("at the end of a call that nobody can carry", async () => {
    const { defects, mesh } = meshWith()
    mesh.view.set(new Map())
    const begin = mesh.observer.begin.bind(mesh.observer)
    mesh.observer.begin = (info) => ({ ...begin(info), end: breaks })
    const { receiver } = mesh.request()
    await microtasks()
    expect(receiver.fault?.code).toBe("no_healthy_endpoint")
    expect(defects).toEqual([broken])
  })
})

describe("a receiver that throws ends its own call", () => {
  it.each(["onInfo", "onHead", "onData", "onEnd"] as const)("in %s", (method) => {
    const { defects, mesh } = meshWith()
    const { observed, receiver } = mesh.request()
    receiver[method] = breaks
    const attempt = mesh.last
    attempt.info(103)
    attempt.head(200)
    attempt.data("abc")
    if (method === "onEnd") attempt.finish()
    else expect(attempt.cancelled?.message).toMatch(/^here itself failed while it carried a call/)
    expect(observed.ends).toHaveLength(1)
    if (method !== "onEnd") expect(receiver.fault?.code).toBe("upstream_reset")
    // It says nothing of the endpoint.
    expect(mesh.outbound.endpoints(attempt.call.service).map(({ failures }) => failures)).toEqual([
      0, 0
    ])
    expectContained(mesh, defects)
  })

  it("in onWritable", () => {
    const { defects, mesh } = meshWith()
    const { observed, receiver, stream } = mesh.request("PUT", { body: true })
    receiver.onWritable = breaks
    mesh.last.writable = false
    stream.write(Buffer.from("abc"))
    mesh.last.drained()
    expect(observed.ends).toHaveLength(1)
    expectContained(mesh, defects)
  })

  it.each([
    ["from an attempt", (mesh: Fixture) => mesh.last.fault("denied", false)],
    ["from a timer", (mesh: Fixture) => mesh.ticker.advance(6_000)]
  ])("in onFault, %s", (_, fail) => {
    const { defects, mesh } = meshWith()
    const { observed, receiver } = mesh.request()
    receiver.onFault = breaks
    fail(mesh)
    expect(observed.ends).toHaveLength(1)
    expectContained(mesh, defects)
  })

  it("in onFault, from a microtask", async () => {
    const { defects, mesh } = meshWith()
    mesh.show([])
    const { observed, receiver } = mesh.request()
    receiver.onFault = breaks
    await microtasks()
    expect(observed.ends).toHaveLength(1)
    expectContained(mesh, defects)
  })
})

describe("an endpoint's side that throws ends the call", () => {
  it("when it is called, and not before dispatch has returned", async () => {
    const { defects, mesh } = meshWith()
    mesh.sent.push = breaks
    const { observed, receiver } = mesh.request()
    await microtasks()
    expect(receiver.fault).toMatchObject({ code: "upstream_reset", node: "here" })
    expect(observed.ends).toHaveLength(1)
    expectContained(mesh, defects)
  })

  it("when a retry calls it, from a timer", () => {
    const { defects, mesh } = meshWith()
    const { receiver } = mesh.request()
    const first = mesh.last
    mesh.sent.push = breaks
    first.respond(500)
    mesh.ticker.advance(300)
    expect(receiver.fault?.code).toBe("upstream_reset")
    expectContained(mesh, defects)
  })

  it.each(["write", "end", "resume", "cancel"] as const)("in %s", (method) => {
    const { defects, mesh } = meshWith()
    const { cancel, observed, stream } = mesh.request("PUT", { body: true })
    mesh.last[method] = breaks
    stream.write(Buffer.from("abc"))
    stream.resume()
    stream.end(noFields)
    cancel()
    expect(observed.ends).toHaveLength(1)
    expectContained(mesh, defects)
  })
})

describe("a step that throws is as if it were not there", () => {
  it.each(["begin", "sent", "answered", "failed", "judged", "over"] as const)("in %s", (hook) => {
    const step: CallStep = { [hook]: breaks }
    const line = { of: () => hook, make: () => step }
    const { defects, mesh } = meshWith({ ...stackLines, call: [line, ...stackLines.call] })
    const { observed, receiver } = mesh.request()
    mesh.last.respond(500)
    mesh.ticker.advance(300)
    mesh.last.respond(200)
    expect(receiver.head?.status).toBe(200)
    expect(observed.ends).toHaveLength(1)
    const times = { begin: 1, sent: 2, answered: 2, failed: 1, judged: 2, over: 1 }
    expectContained(mesh, defects, times[hook])
  })

  it("but for what it has a timer for: that ends the call", () => {
    const step: CallStep = { begin: (call) => void call.after(100, step), due: breaks }
    const line = { of: () => "due", make: () => step }
    const { defects, mesh } = meshWith({ ...stackLines, call: [line, ...stackLines.call] })
    const { receiver } = mesh.request()
    mesh.ticker.advance(100)
    expect(receiver.fault?.code).toBe("upstream_reset")
    expectContained(mesh, defects)
  })

  it.each(["admit", "answered", "settled", "closed", "leave"] as const)(
    "at an endpoint, in %s",
    (hook) => {
      const guard: EndpointGuard = { [hook]: breaks }
      const line = { of: () => hook, make: () => ({ enter: () => guard }) }
      const { defects, mesh } = meshWith({
        ...stackLines,
        endpoint: [line, ...stackLines.endpoint]
      })
      const { receiver } = mesh.request()
      mesh.last.respond(200)
      expect(receiver.trailers).toEqual(noFields)
      if (hook === "leave") mesh.show([endpointView("a")])
      expectContained(mesh, defects)
    }
  )

  it("at an endpoint, in abandoned", () => {
    const line = { of: () => 0, make: () => ({ enter: () => ({ abandoned: breaks }) }) }
    const { defects, mesh } = meshWith({ ...stackLines, endpoint: [line, ...stackLines.endpoint] })
    mesh.request().cancel()
    expectContained(mesh, defects)
  })
})
