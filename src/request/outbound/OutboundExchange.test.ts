import { describe, expect, it } from "vitest"
import { noFields } from "../../model/Exchange.ts"
import type { PolicyInput } from "../../schema/PolicySchema.ts"
import { endpointView, Fixture, microtasks } from "../../testing/OutboundFixture.ts"

const bytes = (text: string) => Buffer.from(text)
const two = [endpointView("a"), endpointView("b")]
const three = [...two, endpointView("c")]
/** Turns are known: a, b, c, a, … */
const inTurn: PolicyInput = { balance: { kind: "round_robin" } }

/** After an exchange is over nothing of it is left. */
const expectNothingLeft = (mesh: Fixture): void => {
  expect(mesh.ticker.wheel.size).toBe(0)
  for (const service of mesh.outbound.services()) expect(service.inFlight).toBe(0)
  expect(Object.values(mesh.counter("skein_endpoint_in_flight"))).toEqual([])
  for (const { ends } of mesh.observer.all) expect(ends).toHaveLength(1)
}

describe("an exchange that goes well", () => {
  it("carries head, body and trailers both ways, and ends once", () => {
    const mesh = new Fixture(inTurn, two)
    const { observed, receiver, stream } = mesh.request("POST", { body: true })
    expect(mesh.last.call).toMatchObject({
      kind: "http",
      service: "payments",
      endpoint: "0",
      deadline: undefined,
      attempt: 0
    })
    expect(stream.write(bytes("order"))).toBe(true)
    stream.end(["x-sum", "1"])
    expect(mesh.last.body).toBe("order")
    expect(mesh.last.trailers).toEqual(["x-sum", "1"])
    mesh.last.info(103).head(201, ["a", "b"])
    mesh.last.data("done")
    mesh.last.finish(["t", "1"])
    expect(receiver.infos).toEqual([103])
    expect(receiver.head).toMatchObject({ status: 201, fields: ["a", "b"] })
    expect(receiver.body).toBe("done")
    expect(receiver.trailers).toEqual(["t", "1"])
    expect(observed).toEqual({
      endpoints: [two[0]!.key],
      events: [],
      status: 201,
      ends: [{ outcome: { kind: "complete", status: 201 }, in: 5, out: 4 }]
    })
    expectNothingLeft(mesh)
  })

  it("says how long its policy lets it wait for a link", () => {
    const mesh = new Fixture({ ...inTurn, timeout: { connect: "200ms" } }, two)
    mesh.request()
    expect(mesh.last.call.connectTimeout).toBe(200)
  })

  it.each<{ timeout: PolicyInput["timeout"]; connect: number }>([
    { timeout: { perTry: "500ms" }, connect: 250 },
    { timeout: { perTry: "1s" }, connect: 500 },
    { timeout: { perTry: "2s" }, connect: 1_000 },
    { timeout: { request: "300ms" }, connect: 150 },
    { timeout: { request: "5s", perTry: "800ms" }, connect: 400 },
    { timeout: { connect: "400ms", perTry: "500ms" }, connect: 400 }
  ])("connects sooner than $timeout ends, so that it may try again", ({ connect, timeout }) => {
    const mesh = new Fixture({ ...inTurn, timeout }, two)
    mesh.request()
    expect(mesh.last.call.connectTimeout).toBe(connect)
  })

  it("forwards the trace fields of its own span", () => {
    const mesh = new Fixture(inTurn, two)
    mesh.observer.forwardFields = ["traceparent", "00-1"]
    mesh.request("GET", { head: { fields: ["a", "b"], target: "/x" } })
    expect(mesh.last.call.head).toMatchObject({ fields: ["traceparent", "00-1"], target: "/x" })
  })

  it("ends with the response, whatever of the request is missing", () => {
    const mesh = new Fixture(inTurn, two)
    const { receiver, stream } = mesh.request("POST", { body: true })
    mesh.last.respond(200)
    expect(receiver.done).toBe(true)
    expect(stream.write(bytes("late"))).toBe(true)
    stream.end(noFields)
    stream.resume()
    expect(mesh.last.body).toBe("")
    expectNothingLeft(mesh)
  })

  it("holds a fast sender back, both ways", () => {
    const mesh = new Fixture(inTurn, two)
    const { receiver, stream } = mesh.request("POST", { body: true })
    mesh.last.writable = false
    expect(stream.write(bytes("1"))).toBe(false)
    expect(receiver.writables).toBe(0)
    mesh.last.drained()
    expect(receiver.writables).toBe(1)
    expect(stream.write(bytes("2"))).toBe(true)
    mesh.last.head(200)
    receiver.hungry = false
    expect(mesh.last.data("x")).toBe(false)
    stream.resume()
    expect(mesh.last.resumed).toBe(1)
  })
})

describe("a connect failure", () => {
  it("is retried at once on another endpoint, whatever the method", () => {
    const mesh = new Fixture(inTurn, two)
    const { observed, receiver } = mesh.request("POST")
    mesh.last.fault("upstream_connect", false)
    expect(mesh.trail).toBe("ab")
    expect(mesh.last.call.attempt).toBe(1)
    mesh.last.respond(200)
    expect(receiver.head?.status).toBe(200)
    expect(observed.events).toEqual(["retry"])
    expect(mesh.counter("skein_retries_total")).toEqual({ connect_failure: 1 })
    expectNothingLeft(mesh)
  })

  it("takes the body along, also the part that comes later", () => {
    const mesh = new Fixture(inTurn, two)
    const { stream } = mesh.request("POST", { body: true })
    stream.write(bytes("ab"))
    mesh.last.fault("upstream_connect", false)
    stream.write(bytes("cd"))
    stream.end(noFields)
    expect(mesh.sent.map(({ body }) => body)).toEqual(["ab", "abcd"])
    expect(mesh.last.trailers).toEqual([])
  })

  it("waits before it tries the only endpoint again", () => {
    const mesh = new Fixture(inTurn, [endpointView("a")])
    const { receiver } = mesh.request()
    mesh.last.fault("upstream_connect", false)
    expect(mesh.sent).toHaveLength(1)
    mesh.ticker.advance(40)
    expect(mesh.sent).toHaveLength(2)
    mesh.last.respond(200)
    expect(receiver.head?.status).toBe(200)
    expectNothingLeft(mesh)
  })

  it("is the answer when the attempts are used up", () => {
    const mesh = new Fixture(inTurn, three)
    const { observed, receiver } = mesh.request()
    for (let i = 0; i < 3; i++) mesh.last.fault("upstream_connect", false)
    expect(mesh.trail).toBe("abc")
    expect(receiver.fault).toMatchObject({
      code: "upstream_connect",
      message: "scripted upstream_connect",
      node: "remote"
    })
    expect(observed.ends).toHaveLength(1)
    expectNothingLeft(mesh)
  })
})

describe("a reset", () => {
  it("is retried for idempotent methods", () => {
    const mesh = new Fixture(inTurn, two)
    const { receiver } = mesh.request("PUT")
    mesh.last.fault("upstream_reset", true)
    mesh.ticker.advance(40)
    expect(mesh.trail).toBe("ab")
    mesh.last.respond(204)
    expect(receiver.head?.status).toBe(204)
    expectNothingLeft(mesh)
  })

  it("is not for others, because they may have had their effect", () => {
    const mesh = new Fixture(inTurn, two)
    const { receiver } = mesh.request("POST")
    mesh.last.fault("upstream_reset", true)
    expect(receiver.fault?.code).toBe("upstream_reset")
    expect(mesh.sent).toHaveLength(1)
    expectNothingLeft(mesh)
  })

  it("unless the policy says so", () => {
    const mesh = new Fixture({ ...inTurn, retry: { methods: ["POST"] } }, two)
    mesh.request("POST")
    mesh.last.fault("upstream_reset", true)
    mesh.ticker.advance(40)
    expect(mesh.sent).toHaveLength(2)
  })

  it("is not once the response has begun", () => {
    const mesh = new Fixture(inTurn, two)
    const { observed, receiver } = mesh.request()
    mesh.last.head(200)
    mesh.last.data("half")
    mesh.last.fault("upstream_reset", true)
    expect(receiver.fault?.code).toBe("upstream_reset")
    expect(mesh.sent).toHaveLength(1)
    expect(observed.ends).toMatchObject([{ outcome: { code: "upstream_reset" }, out: 4 }])
    expect(mesh.outbound.endpoints(mesh.last.call.service)[0]?.failures).toBe(1)
    expectNothingLeft(mesh)
  })

  it("is not when the body was too large to keep", () => {
    const mesh = new Fixture({ ...inTurn, retry: { bodyLimit: 3 } }, two)
    const { receiver, stream } = mesh.request("PUT", { body: true })
    stream.write(bytes("abcd"))
    mesh.last.fault("upstream_reset", true)
    expect(receiver.fault?.code).toBe("upstream_reset")
    expectNothingLeft(mesh)
  })

  it("holds the caller back between two attempts", () => {
    const mesh = new Fixture(inTurn, two)
    const { receiver, stream } = mesh.request("PUT", { body: true })
    stream.write(bytes("ab"))
    mesh.last.fault("upstream_reset", true)
    expect(stream.write(bytes("cd"))).toBe(false)
    mesh.ticker.advance(40)
    expect(receiver.writables).toBe(1)
    expect(mesh.last.body).toBe("abcd")
  })
})

describe("an early answer that breaks off while the request is still coming", () => {
  it("is not held against the endpoint: what was not read of the upload cut it off", () => {
    const mesh = new Fixture({ retry: "off" }, [endpointView("a")])
    for (let n = 0; n < 7; n++) {
      const { receiver, stream } = mesh.request("POST", {
        body: true,
        head: { framing: { kind: "length", length: 100_000 } }
      })
      stream.write(Buffer.alloc(50_000))
      mesh.last.head(413)
      mesh.last.data("a long explana")
      mesh.last.fault("upstream_reset", true)
      expect(receiver.head?.status).toBe(413)
    }
    const [endpoint] = mesh.outbound.endpoints(mesh.last.call.service)
    expect(endpoint).toMatchObject({ breaker: "closed", failures: 0 })
  })
})

describe("a failing response", () => {
  const retry5xx: PolicyInput = { ...inTurn, retry: { on: ["5xx"] } }

  it("is not forwarded when it can be retried, and its endpoint is told to stop", () => {
    const mesh = new Fixture(retry5xx, two)
    const { receiver } = mesh.request()
    mesh.last.respond(503, "busy")
    expect(mesh.sent[0]?.cancelled?.code).toBe("client_gone")
    mesh.ticker.advance(40)
    mesh.last.respond(200, "ok")
    expect(mesh.trail).toBe("ab")
    expect(receiver.head?.status).toBe(200)
    expect(receiver.body).toBe("ok")
    expectNothingLeft(mesh)
  })

  it("is forwarded when the policy does not name it", () => {
    const mesh = new Fixture({ ...inTurn, retry: { on: ["gateway_error"] } }, two)
    const { receiver } = mesh.request()
    mesh.last.respond(500, "oops")
    expect(receiver.head?.status).toBe(500)
    expect(receiver.body).toBe("oops")
  })

  it("is forwarded when it is the last one", () => {
    const mesh = new Fixture(retry5xx, three)
    const { observed, receiver } = mesh.request()
    for (const status of [500, 502, 503]) {
      mesh.last.respond(status, String(status))
      mesh.ticker.advance(100)
    }
    expect(receiver.head?.status).toBe(503)
    expect(receiver.body).toBe("503")
    expect(observed.ends).toMatchObject([{ outcome: { kind: "complete", status: 503 } }])
    expectNothingLeft(mesh)
  })

  it("is forwarded when there is nobody left to ask", () => {
    const mesh = new Fixture({ ...retry5xx, breaker: { consecutiveFailures: 1 } }, [
      endpointView("a")
    ])
    const { receiver } = mesh.request()
    mesh.last.respond(503, "busy")
    expect(receiver.head?.status).toBe(503)
    expectNothingLeft(mesh)
  })

  it("is forwarded when the budget is spent, which is counted", () => {
    const budget = { ratio: 0.1, minPerSecond: 0 }
    const mesh = new Fixture({ ...inTurn, retry: { on: ["5xx"], budget } }, two)
    const { observed, receiver } = mesh.request()
    mesh.last.respond(503)
    expect(receiver.head?.status).toBe(503)
    expect(observed.events).toEqual(["retry_budget_exhausted"])
    expect(mesh.counter("skein_retry_budget_exhausted_total")).toEqual({ "": 1 })
  })

  it("waits as long as Retry-After asks when there is nobody else", () => {
    const mesh = new Fixture(retry5xx, [endpointView("a")])
    mesh.request()
    mesh.last.respond(503, "", ["Retry-After", "2"])
    mesh.ticker.advance(1_990)
    expect(mesh.sent).toHaveLength(1)
    mesh.ticker.advance(10)
    expect(mesh.sent).toHaveLength(2)
  })

  it.each([
    { why: "more than a proxy should wait", policy: retry5xx, after: "60" },
    {
      why: "past the total timeout",
      policy: { ...retry5xx, timeout: { request: "1s" as const } },
      after: "2"
    }
  ])("is forwarded when Retry-After asks for $why", ({ after, policy }) => {
    const mesh = new Fixture(policy, [endpointView("a")])
    const { receiver } = mesh.request()
    mesh.last.respond(503, "", ["Retry-After", after])
    expect(receiver.head?.status).toBe(503)
    expectNothingLeft(mesh)
  })

  it("does not make the caller see 100 Continue twice", () => {
    const mesh = new Fixture(retry5xx, two)
    const { receiver } = mesh.request("PUT", { head: { expectsContinue: true }, body: true })
    mesh.last.info(100).head(503)
    mesh.ticker.advance(40)
    mesh.last.info(100).respond(200)
    expect(receiver.infos).toEqual([100])
    expect(receiver.head?.status).toBe(200)
  })
})

describe("time", () => {
  it("ends the whole exchange after the total timeout", () => {
    const mesh = new Fixture({ ...inTurn, timeout: { request: "2s" } }, two)
    const { observed, receiver } = mesh.request()
    expect(mesh.last.call.deadline).toBe(2_000)
    mesh.ticker.advance(1_990)
    expect(receiver.done).toBe(false)
    mesh.ticker.advance(20)
    expect(receiver.fault).toMatchObject({
      code: "upstream_timeout",
      message: "payments did not finish within 2000 ms (timeout.request); last tried on node-a"
    })
    expect(mesh.last.cancelled?.code).toBe("upstream_timeout")
    expect(observed.ends).toMatchObject([{ outcome: { code: "upstream_timeout" } }])
    expectNothingLeft(mesh)
  })

  it("covers retries too, and tells the next hop what is left", () => {
    const mesh = new Fixture({ ...inTurn, timeout: { request: "2s" } }, two)
    const { receiver } = mesh.request()
    mesh.ticker.advance(1_500)
    mesh.last.fault("upstream_connect", false)
    expect(mesh.last.call).toMatchObject({ attempt: 1, deadline: 500 })
    mesh.ticker.advance(510)
    expect(receiver.fault?.message).toMatch(
      /within 2000 ms .*after 2 attempts; last tried on node-b/
    )
    expectNothingLeft(mesh)
  })

  it.each([
    { reads: true, failures: 1 },
    { reads: false, failures: 0 }
  ])(
    "blames the endpoint for a response that is too slow only if its caller reads: $reads",
    (row) => {
      const mesh = new Fixture({ ...inTurn, timeout: { request: "2s" } }, two)
      const { receiver } = mesh.request()
      receiver.hungry = row.reads
      mesh.last.head(200).data("half")
      mesh.ticker.advance(2_010)
      expect(receiver.fault?.code).toBe("upstream_timeout")
      expect(mesh.outbound.endpoints(mesh.last.call.service)[0]?.failures).toBe(row.failures)
      expectNothingLeft(mesh)
    }
  )

  it("honours the deadline the call came with, if it is shorter", () => {
    const mesh = new Fixture({ ...inTurn, timeout: { request: "2s" } }, two)
    const first = mesh.request("GET", { deadline: 300 })
    expect(mesh.last.call.deadline).toBe(300)
    mesh.request("GET", { deadline: 9_000 })
    expect(mesh.last.call.deadline).toBe(2_000)
    mesh.ticker.advance(310)
    expect(first.receiver.fault?.message).toMatch(/within 300 ms \(the caller's deadline\)/)
  })

  it("retries an attempt that runs into the per-try timeout", () => {
    const mesh = new Fixture(
      { ...inTurn, timeout: { perTry: "300ms" }, retry: { on: ["timeout"] } },
      two
    )
    const { receiver } = mesh.request()
    mesh.ticker.advance(310)
    expect(mesh.sent[0]?.cancelled).toBeDefined()
    mesh.ticker.advance(40)
    mesh.last.respond(200)
    expect(mesh.trail).toBe("ab")
    expect(receiver.head?.status).toBe(200)
    expectNothingLeft(mesh)
  })

  it("answers with it when it may not be retried", () => {
    const mesh = new Fixture({ ...inTurn, timeout: { perTry: "300ms" } }, two)
    const { receiver } = mesh.request()
    mesh.ticker.advance(310)
    expect(receiver.fault).toMatchObject({
      code: "upstream_timeout",
      message: "payments did not answer within 300 ms (timeout.perTry); last tried on node-a"
    })
    expectNothingLeft(mesh)
  })

  it("is up for a try when the head is there", () => {
    const mesh = new Fixture({ ...inTurn, timeout: { perTry: "300ms" } }, two)
    const { receiver } = mesh.request()
    mesh.last.head(200)
    mesh.ticker.advance(1_000)
    mesh.last.finish()
    expect(receiver.trailers).toEqual([])
  })

  it("ends an exchange in which nothing moves", () => {
    const mesh = new Fixture({ ...inTurn, timeout: { idle: "10s" } }, two)
    const { receiver, stream } = mesh.request("POST", { body: true })
    mesh.ticker.advance(9_000)
    stream.write(bytes("1"))
    mesh.ticker.advance(9_000)
    mesh.last.head(200)
    mesh.ticker.advance(9_000)
    mesh.last.data("x")
    expect(receiver.done).toBe(false)
    mesh.ticker.advance(10_010)
    expect(receiver.fault?.message).toMatch(/did not move a byte within 10000 ms \(timeout.idle\)/)
    expectNothingLeft(mesh)
  })

  it("does not wait for a back-off that ends after the deadline", () => {
    const slow = { base: "10s", max: "10s" } as const
    const mesh = new Fixture(
      { ...inTurn, timeout: { request: "1ms" }, retry: { backoff: slow } },
      two
    )
    const { receiver } = mesh.request()
    mesh.last.fault("upstream_reset", true)
    expect(receiver.fault?.code).toBe("upstream_reset")
    expectNothingLeft(mesh)
  })
})

describe("a caller that leaves", () => {
  it("cancels the attempt and frees everything", () => {
    const mesh = new Fixture({ timeout: { request: "2s", perTry: "1s" } }, two)
    const { cancel, observed } = mesh.request()
    cancel()
    expect(mesh.last.cancelled?.code).toBe("client_gone")
    expect(observed.ends).toMatchObject([{ outcome: { code: "client_gone" } }])
    mesh.last.respond(200)
    cancel()
    expectNothingLeft(mesh)
  })

  it("during back-off: there is no further attempt", () => {
    const mesh = new Fixture(inTurn, two)
    const { cancel } = mesh.request()
    mesh.last.fault("upstream_reset", true)
    cancel()
    mesh.ticker.advance(1_000)
    expect(mesh.sent).toHaveLength(1)
    expectNothingLeft(mesh)
  })

  it("is no failure of the endpoint's", () => {
    const mesh = new Fixture({ breaker: { consecutiveFailures: 1 } }, two)
    mesh.request().cancel()
    const { cancel } = mesh.request()
    mesh.last.head(200)
    cancel()
    const status = mesh.outbound.endpoints(mesh.last.call.service)
    expect(status.map(({ failures }) => failures)).toEqual([0, 0])
    expect(status.map(({ requests }) => requests).toSorted()).toEqual([0, 1])
  })
})

describe("tunnels", () => {
  it("TCP: carries bytes, with neither total nor per-try timeout", () => {
    const mesh = new Fixture({ ...inTurn, timeout: { request: "1s", perTry: "500ms" } }, two)
    const { observed, receiver, stream } = mesh.tunnel()
    expect(mesh.last.call).toMatchObject({ kind: "tcp", head: undefined, deadline: undefined })
    stream.write(bytes("hello"))
    mesh.ticker.advance(60_000)
    mesh.last.data("world")
    mesh.last.finish()
    expect(receiver.body).toBe("world")
    stream.write(bytes("!"))
    expect(mesh.last.body).toBe("hello!")
    stream.end(noFields)
    expect(observed.ends).toEqual([{ outcome: { kind: "complete", status: 0 }, in: 6, out: 5 }])
    expectNothingLeft(mesh)
  })

  it("TCP: a connect failure is retried, with the bytes sent so far", () => {
    const mesh = new Fixture(inTurn, two)
    const { stream } = mesh.tunnel()
    stream.write(bytes("hello"))
    mesh.last.fault("upstream_connect", false)
    expect(mesh.last.body).toBe("hello")
    mesh.last.data("x")
    stream.end(noFields)
    mesh.last.finish()
    expectNothingLeft(mesh)
  })

  it("TCP: a reset is not", () => {
    const mesh = new Fixture(inTurn, two)
    const { receiver } = mesh.tunnel()
    mesh.last.fault("upstream_reset", true)
    expect(receiver.fault?.code).toBe("upstream_reset")
    expect(mesh.sent).toHaveLength(1)
  })

  it("101: neither total timeout nor HTTP's idle limit, only the tunnel's", () => {
    const timeout = { request: "3s", idle: "2s", tcpIdle: "60s" } as const
    const mesh = new Fixture({ ...inTurn, timeout }, two)
    const { receiver, stream } = mesh.request("GET", { head: { upgrade: "websocket" }, body: true })
    mesh.last.head(101)
    mesh.ticker.advance(50_000)
    stream.write(bytes("frame"))
    mesh.last.data("frame")
    mesh.ticker.advance(50_000)
    expect(receiver.done).toBe(false)
    expect(mesh.last.body).toBe("frame")
    mesh.ticker.advance(10_010)
    expect(receiver.fault?.message).toMatch(/within 60000 ms \(timeout.tcpIdle\)/)
    expectNothingLeft(mesh)
  })
})

describe("nowhere to go", () => {
  it("no such service", async () => {
    const mesh = new Fixture({}, two)
    mesh.view.set(new Map())
    mesh.ticker.advance(300_000)
    const { observed, receiver } = mesh.request()
    expect(receiver.done).toBe(false)
    await microtasks()
    expect(receiver.fault).toMatchObject({ code: "route_not_found", sent: false, node: "here" })
    expect(observed.ends).toMatchObject([{ outcome: { code: "route_not_found" } }])
  })

  it("a service that nobody offers since a moment ago, until somebody does again", async () => {
    const mesh = new Fixture({}, two)
    mesh.view.set(new Map())
    mesh.ticker.advance(3_000)
    const { observed, receiver } = mesh.request()
    await microtasks()
    expect(receiver.fault).toEqual({
      code: "no_healthy_endpoint",
      message:
        "no endpoint of payments can take a request: nobody has offered it for 3 s, last on node-a, node-b",
      ...{ node: "here", service: "payments", sent: false }
    })
    expect(observed.ends).toMatchObject([{ outcome: { code: "no_healthy_endpoint" } }])
    mesh.show([endpointView("c")])
    mesh.request()
    expect(mesh.last.peer).toBe(endpointView("c").peer)
  })

  it("a service that many offered until a moment ago, with some of them", async () => {
    const mesh = new Fixture(
      {},
      Array.from("abcdefgh", (letter) => endpointView(letter))
    )
    mesh.view.set(new Map())
    const { receiver } = mesh.request()
    await microtasks()
    expect(receiver.fault?.message).toBe(
      "no endpoint of payments can take a request: nobody has offered it for 0 s, last on node-a, node-b, node-c and 5 more"
    )
  })

  it("a service that was taken from who offered it, and why", async () => {
    const mesh = new Fixture({}, two, { whyMissing: () => "it was taken from host-b by ops" })
    mesh.view.set(new Map())
    const { receiver } = mesh.request()
    await microtasks()
    expect(receiver.fault).toMatchObject({
      code: "route_not_found",
      message:
        "no node of the mesh offers a service named payments: it was taken from host-b by ops"
    })
  })

  it("for whom this node may not speak, and then nothing is sent", async () => {
    const mesh = new Fixture({ retry: { attempts: 3 } }, two, {
      speaksFor: ({ service }) => ({
        ...{ code: "denied", message: "not it", node: "here", service, sent: false }
      })
    })
    const { observed, receiver } = mesh.request()
    await microtasks()
    expect(receiver.fault).toMatchObject({ code: "denied", message: "not it", sent: false })
    expect(observed.ends).toMatchObject([{ outcome: { code: "denied" } }])
    expect(mesh.sent).toEqual([])
  })

  it("no such service, and the caller leaves before it is told", async () => {
    const mesh = new Fixture({}, two)
    mesh.view.set(new Map())
    const { cancel, observed, receiver } = mesh.request()
    cancel()
    await microtasks()
    expect(receiver.done).toBe(false)
    expect(observed.ends).toHaveLength(1)
  })

  it("no endpoint that could take it: says why, at once", async () => {
    const mesh = new Fixture({}, [endpointView("a", { healthy: false })])
    const { receiver } = mesh.request()
    await microtasks()
    expect(receiver.fault).toMatchObject({
      code: "no_healthy_endpoint",
      sent: false,
      message: "no endpoint of payments can take a request: of 1 endpoint 1 fails its health check"
    })
    expectNothingLeft(mesh)
  })

  it("all circuits open: says when to come back", async () => {
    const mesh = new Fixture({ retry: "off", breaker: { consecutiveFailures: 1 } }, [
      endpointView("a")
    ])
    mesh.request()
    mesh.last.respond(500)
    const { receiver } = mesh.request()
    await microtasks()
    expect(receiver.fault?.code).toBe("no_healthy_endpoint")
    expect(receiver.fault?.retryAfter).toBeGreaterThanOrEqual(1)
    expect(mesh.sent).toHaveLength(1)
  })
})

describe("gRPC", () => {
  it("is judged by grpc-status, in the head or in the trailers", () => {
    const mesh = new Fixture({ ...inTurn, retry: "off" }, two, { protocol: "grpc" })
    const failures = () =>
      mesh.outbound.endpoints(mesh.last.call.service).reduce((sum, one) => sum + one.failures, 0)
    mesh.request("POST")
    mesh.last.respond(200, "", ["grpc-status", "14"])
    expect(failures()).toBe(1)
    mesh.request("POST")
    mesh.last.head(200).finish(["grpc-status", "13"])
    expect(failures()).toBe(2)
    mesh.request("POST")
    mesh.last.head(200).finish(["grpc-status", "5"])
    expect(failures()).toBe(2)
  })
})
