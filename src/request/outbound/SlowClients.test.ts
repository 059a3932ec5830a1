/** A client that is slow to send its request costs itself time, and nobody else anything. */
import { describe, expect, it } from "vitest"
import { streamBody } from "../../model/Exchange.ts"
import type { PolicyInput } from "../../schema/PolicySchema.ts"
import { endpointView, Fixture, payments } from "../../testing/OutboundFixture.ts"

const bytes = (text: string) => Buffer.from(text)
const upload = { body: true, head: { framing: { kind: "length", length: 8 } } } as const

const make = (policy: PolicyInput, endpoints = "a"): Fixture =>
  new Fixture(
    { retry: "off", ...policy },
    [...endpoints].map((letter) => endpointView(letter))
  )

/** What is held against the endpoints, all together. */
const account = (mesh: Fixture) => {
  const endpoints = mesh.outbound.endpoints(payments)
  return {
    failures: endpoints.reduce((sum, { failures }) => sum + failures, 0),
    closed: endpoints.every(({ breaker }) => breaker === "closed"),
    ejected: endpoints.filter(({ ejectedUntil }) => ejectedUntil !== undefined).length
  }
}
const nothing = { failures: 0, closed: true, ejected: 0 }

describe("a client that drips its body", () => {
  it("is given the time it takes, under timeout.perTry", () => {
    const mesh = make({ timeout: { perTry: "300ms" } })
    for (let n = 0; n < 8; n++) {
      const { stream, receiver } = mesh.request("POST", upload)
      for (let i = 0; i < 8; i++) {
        stream.write(bytes("x"))
        mesh.ticker.advance(100)
      }
      stream.end([])
      mesh.ticker.advance(200)
      mesh.last.respond(200)
      expect(receiver.head?.status).toBe(200)
    }
    expect(account(mesh)).toEqual(nothing)
  })

  it("does not take the time of a try from the endpoint", () => {
    const mesh = make({ timeout: { perTry: "300ms" } })
    const { stream, receiver } = mesh.request("POST", upload)
    stream.write(bytes("12345678"))
    mesh.ticker.advance(1_000)
    stream.end([])
    mesh.ticker.advance(290)
    expect(receiver.done).toBe(false)
    mesh.ticker.advance(20)
    expect(receiver.fault).toMatchObject({ code: "upstream_timeout" })
    expect(account(mesh).failures).toBe(1)
  })

  it.each([
    ["request", "timeout.request"],
    ["idle", "timeout.idle"]
  ])("is told so by timeout.%s, and nothing is held against the endpoint", (limit, name) => {
    const mesh = make({ timeout: { [limit]: "500ms" } })
    for (let n = 0; n < 8; n++) {
      const { stream, receiver } = mesh.request("POST", upload)
      stream.write(bytes("123"))
      mesh.ticker.advance(520)
      expect(receiver.fault).toMatchObject({ code: "client_timeout", sent: true })
      expect(receiver.fault?.message).toContain(`within 500 ms (${name}); 3 bytes`)
      expect(mesh.last.cancelled).toBeDefined()
    }
    expect(account(mesh)).toEqual(nothing)
  })

  it("holds nothing against the endpoint when its last byte comes just before timeout.request", () => {
    const mesh = make({ timeout: { request: "600ms" } })
    for (let n = 0; n < 8; n++) {
      const { stream } = mesh.request("POST", upload)
      for (let i = 0; i < 8; i++) {
        mesh.ticker.advance(70)
        stream.write(bytes("x"))
      }
      stream.end([])
      // The program would need 100 ms, and was given 40.
      mesh.ticker.advance(60)
    }
    expect(account(mesh)).toEqual(nothing)
  })

  it("nor when the endpoint's node is the first to notice", () => {
    const mesh = make({ timeout: { request: "600ms" } })
    for (let n = 0; n < 8; n++) {
      const { stream } = mesh.request("POST", upload)
      for (let i = 0; i < 8; i++) {
        mesh.ticker.advance(70)
        stream.write(bytes("x"))
      }
      stream.end([])
      mesh.ticker.advance(30)
      // Its clock began with the call, as ours did, and its grid of 10 ms is another.
      mesh.last.fault("upstream_timeout", true)
    }
    expect(account(mesh)).toEqual(nothing)
  })

  it("leaves the blame with an endpoint that had half of the time and more", () => {
    const mesh = make({ timeout: { request: "600ms" } })
    const { stream } = mesh.request("POST", upload)
    mesh.ticker.advance(290)
    stream.write(bytes("12345678"))
    stream.end([])
    mesh.ticker.advance(330)
    expect(account(mesh).failures).toBe(1)
  })

  it("is told so by its own deadline", () => {
    const mesh = make({})
    const { receiver } = mesh.request("POST", { ...upload, deadline: 400 })
    mesh.ticker.advance(420)
    expect(receiver.fault).toMatchObject({ code: "client_timeout" })
    expect(receiver.fault?.message).toContain("400 ms (the caller's deadline)")
    expect(account(mesh)).toEqual(nothing)
  })

  it("is told so by the endpoint's node, when that notices first", () => {
    const mesh = make({ timeout: { request: "500ms" } })
    const { receiver } = mesh.request("POST", upload)
    mesh.last.fault("client_timeout", true)
    expect(receiver.fault).toMatchObject({ code: "client_timeout" })
    expect(account(mesh)).toEqual(nothing)
  })

  it("ejects nobody, and costs the others no answer", () => {
    const mesh = make({ timeout: { perTry: "300ms", request: "1s" } }, "abc")
    for (let n = 0; n < 30; n++) mesh.request("POST", upload)
    mesh.ticker.advance(1_100)
    expect(account(mesh)).toEqual(nothing)
    for (let n = 0; n < 30; n++) {
      const { receiver } = mesh.request()
      mesh.last.respond(200)
      expect(receiver.head?.status).toBe(200)
    }
  })
})

describe("an endpoint that does not read its request", () => {
  it.each(["request", "idle"])("is to blame for timeout.%s", (limit) => {
    const mesh = make({ timeout: { [limit]: "500ms" } })
    const { stream, receiver } = mesh.request("POST", upload)
    mesh.last.writable = false
    stream.write(bytes("123"))
    mesh.ticker.advance(520)
    expect(receiver.fault).toMatchObject({ code: "upstream_timeout" })
    expect(account(mesh).failures).toBe(1)
  })

  it("has its try's time begin when it has all of it", () => {
    const mesh = make({ timeout: { perTry: "300ms" } })
    const { stream, receiver } = mesh.request("POST", upload)
    mesh.last.writable = false
    stream.write(bytes("1234"))
    stream.write(bytes("5678"))
    stream.end([])
    mesh.ticker.advance(1_000)
    expect(receiver.done).toBe(false)
    mesh.last.drained()
    expect(mesh.last.trailers).toEqual([])
    mesh.ticker.advance(310)
    expect(receiver.fault).toMatchObject({ code: "upstream_timeout" })
  })
})

describe("an endpoint that is waited for with Expect: 100-continue, and says nothing", () => {
  const expecting = {
    body: true,
    head: { framing: { kind: "length", length: 8 }, expectsContinue: true }
  } as const

  it("is to blame for timeout.request, not the client that waits to be told to go on", () => {
    const mesh = make({ timeout: { request: "500ms" } })
    const { receiver } = mesh.request("POST", expecting)
    mesh.ticker.advance(520)
    expect(receiver.fault).toMatchObject({ code: "upstream_timeout" })
    expect(account(mesh).failures).toBe(1)
  })

  it.each([
    ["perTry", { perTry: "500ms" }],
    ["request", { request: "3s" }]
  ] as const)(
    "loses nothing of timeout.%s to a client that goes on without being told",
    (_, timeout) => {
      const mesh = make({ timeout })
      for (let n = 0; n < 8; n++) {
        const { receiver, stream } = mesh.request("POST", expecting)
        // RFC 9110 §10.1.1: nobody has to say 100, nor to wait for it for ever. curl waits for a second.
        mesh.ticker.advance(1_000)
        for (let i = 0; i < 8; i++) {
          stream.write(bytes("x"))
          mesh.ticker.advance(100)
        }
        stream.end([])
        mesh.ticker.advance(20)
        mesh.last.respond(200)
        expect(receiver.head?.status).toBe(200)
      }
      expect(account(mesh)).toEqual(nothing)
    }
  )
})

describe("an endpoint that says 100 when it has all of the request already, and then nothing", () => {
  it("is held to timeout.perTry", () => {
    const mesh = make({ timeout: { perTry: "300ms" } })
    const { receiver, stream } = mesh.request("POST", {
      body: true,
      head: { framing: { kind: "length", length: 8 }, expectsContinue: true }
    })
    stream.write(bytes("12345678"))
    stream.end([])
    mesh.ticker.advance(20)
    mesh.last.info(100)
    mesh.ticker.advance(300)
    expect(receiver.fault).toMatchObject({ code: "upstream_timeout" })
    expect(account(mesh).failures).toBe(1)
  })
})

describe("an endpoint that has had the request for all of timeout.request", () => {
  it("is to blame though it has shown signs of life: interim responses", () => {
    const mesh = make({ timeout: { request: "600ms" } })
    mesh.request()
    for (let i = 0; i < 5; i++) {
      mesh.ticker.advance(100)
      mesh.last.info(102)
    }
    mesh.ticker.advance(120)
    expect(account(mesh).failures).toBe(1)
  })

  it("is to blame though it has shown signs of life: room for a little more", () => {
    const mesh = make({ timeout: { request: "600ms" } })
    const { stream } = mesh.request("POST", upload)
    for (let i = 0; i < 8; i++) {
      mesh.last.writable = false
      stream.write(bytes("x"))
      mesh.ticker.advance(70)
      mesh.last.drained()
    }
    stream.end([])
    mesh.ticker.advance(60)
    expect(account(mesh).failures).toBe(1)
  })
})

describe("an endpoint that was turned to shortly before the end of timeout.request", () => {
  it("is not to blame for it", () => {
    const retry = { attempts: 1, on: ["5xx"], backoff: { base: "1ms", max: "1ms" } } as const
    const mesh = make(
      { timeout: { request: "600ms" }, retry, balance: { kind: "round_robin" } },
      "ab"
    )
    mesh.request()
    mesh.ticker.advance(500)
    mesh.last.respond(503)
    mesh.ticker.advance(30)
    expect(mesh.sent).toHaveLength(2)
    mesh.ticker.advance(90)
    const [first, second] = mesh.outbound.endpoints(payments)
    expect([first?.failures, second?.failures].sort()).toEqual([0, 1])
  })
})

describe("the time of a try", () => {
  it("begins at once for what has no body: a GET, and an upgrade, which has no end", () => {
    for (const head of [{}, { upgrade: "websocket" }]) {
      const mesh = make({ timeout: { perTry: "300ms" } })
      const { receiver } = mesh.request("GET", { body: "upgrade" in head, head })
      mesh.ticker.advance(310)
      expect(receiver.fault).toMatchObject({ code: "upstream_timeout" })
    }
  })

  it("does not begin after an answer that came before the request's end", () => {
    const mesh = make({ timeout: { perTry: "300ms" } })
    const { receiver, stream } = mesh.request("POST", { body: true, head: { framing: streamBody } })
    stream.write(bytes("12"))
    mesh.last.head(200)
    stream.end([])
    mesh.ticker.advance(1_000)
    expect(receiver.done).toBe(false)
    mesh.last.finish()
    expect(receiver.done).toBe(true)
  })

  it("is a new one for each attempt, whose request is whole from the start", () => {
    const retry = { attempts: 2, on: ["timeout"], methods: ["*"] } as const
    const mesh = make({ timeout: { perTry: "300ms" }, retry }, "ab")
    const { stream, receiver } = mesh.request("POST", upload)
    stream.write(bytes("12345678"))
    mesh.ticker.advance(1_000)
    stream.end([])
    for (let n = 1; n <= 2; n++) {
      mesh.ticker.advance(310)
      mesh.ticker.advance(100)
      expect(mesh.sent).toHaveLength(n + 1)
      expect(mesh.last.body).toBe("12345678")
    }
    mesh.ticker.advance(310)
    expect(receiver.fault).toMatchObject({ code: "upstream_timeout" })
  })
})

describe("a caller in a haste of its own", () => {
  it("holds nothing against the endpoint, whoever notices first", () => {
    const mesh = make({ timeout: { request: "10s" } })
    for (let n = 0; n < 10; n++) {
      const { receiver } = mesh.request("GET", { deadline: 5 })
      if (n % 2 === 0) mesh.ticker.advance(20)
      else mesh.last.fault("upstream_timeout", true)
      expect(receiver.fault).toMatchObject({ code: "upstream_timeout" })
    }
    expect(account(mesh)).toEqual(nothing)
  })
})
