import http from "node:http"
import { afterEach, describe, expect, it } from "vitest"
import { serviceCaller } from "../../model/Caller.ts"
import { type Call, noFields } from "../../model/Exchange.ts"
import type { LocalAddress, LocalService } from "../../model/LocalService.ts"
import { type PeerKey, ServiceName } from "../../model/Names.ts"
import {
  exchange,
  HandTicker,
  httpCall,
  payments,
  RecordingObserver,
  RecordingReceiver,
  rawProgram,
  self,
  startProgram,
  tcpCall
} from "../../testing/InboundFixture.ts"
import { MetricRegistry } from "../cells/Metrics.ts"
import { unlimitedSockets } from "../socket/SocketBudget.ts"
import { AccessGuard } from "./AccessGuard.ts"
import { Inbound, type InboundOptions } from "./Inbound.ts"

const cleanups: Array<() => Promise<void> | void> = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** Answers with `name`; holds requests for /slow until `release`. */
const app = async (name: string) => {
  const held: Array<http.ServerResponse> = []
  const program = await startProgram(
    http.createServer((request, response) => {
      if (request.url === "/slow") held.push(response)
      else response.end(name)
    })
  )
  cleanups.push(program.close)
  return {
    ...program,
    held,
    release: () => {
      for (const response of held.splice(0)) response.end(name)
    }
  }
}

const makeInbound = (change: Partial<InboundOptions> = {}) => {
  const ticker = new HandTicker()
  const observer = new RecordingObserver()
  const metrics = new MetricRegistry()
  const inbound = new Inbound({
    self,
    ticker,
    metrics,
    observer,
    callerName: (peer: PeerKey) => (peer === self.peer ? "host-a" : "host-b"),
    ...change
  })
  cleanups.push(() => inbound.close())
  return { inbound, ticker, observer, metrics }
}

const service = (
  endpoints: ReadonlyArray<Partial<LocalAddress> & { id: string; port: number }>,
  change: Partial<LocalService> = {}
): LocalService => ({
  name: payments,
  protocol: "http",
  endpoints: endpoints.map((one) => ({ host: "127.0.0.1", weight: 100, ...one })),
  ...change
})

const turn = () => new Promise(setImmediate)

describe("Inbound", () => {
  it("serves a call and observes it once, with what was forwarded", async () => {
    const program = await startProgram(
      http.createServer((request, response) => {
        request.resume()
        request.on("end", () => response.end(String(request.headers["traceparent"])))
      })
    )
    cleanups.push(program.close)
    const { inbound, observer } = makeInbound()
    observer.extra = ["traceparent", "00-aa"]
    inbound.setServices([service([{ id: "0", port: program.port }])])
    const call = httpCall({
      method: "POST",
      target: "/pay",
      framing: { kind: "length", length: 3 }
    })
    const { text } = await exchange(inbound.dispatch, call, "abc")
    expect(text).toBe("00-aa")
    expect(observer.seen).toHaveLength(1)
    expect(observer.seen[0]).toMatchObject({
      info: { direction: "inbound", caller: "host-a", method: "POST", target: "/pay" },
      endpoint: `${self.peer}/payments/0`,
      ends: [{ outcome: { kind: "complete", status: 200 }, bytesIn: 3, bytesOut: 5 }]
    })
    expect(inbound.inFlight).toBe(0)
  })

  it("takes the endpoint that is named, else the one with least in flight for its weight", async () => {
    const [a, b] = [await app("a"), await app("b")]
    const { inbound } = makeInbound()
    inbound.setServices([
      service([
        { id: "a", port: a.port },
        { id: "b", port: b.port }
      ])
    ])
    const named = await exchange(inbound.dispatch, httpCall({}, { endpoint: "b" }))
    expect(named.text).toBe("b")
    // Idle ones take turns.
    const texts: Array<string> = []
    for (let i = 0; i < 4; i++) texts.push((await exchange(inbound.dispatch, httpCall())).text)
    expect(texts.sort()).toEqual(["a", "a", "b", "b"])
    const slow = exchange(inbound.dispatch, httpCall({ target: "/slow" }, { endpoint: "a" }))
    while (a.held.length === 0) await turn()
    for (let i = 0; i < 3; i++) {
      expect((await exchange(inbound.dispatch, httpCall())).text).toBe("b")
    }
    a.release()
    expect((await slow).text).toBe("a")
  })

  it("passes over unhealthy endpoints, unless one is named", async () => {
    const [a, b] = [await app("a"), await app("b")]
    const { inbound } = makeInbound()
    const health = { kind: "tcp", interval: 1_000, timeout: 500 } as const
    inbound.setServices([
      service([
        { id: "a", port: a.port, health },
        { id: "b", port: b.port }
      ])
    ])
    expect(inbound.endpoints().map(({ healthy }) => healthy)).toEqual([false, true])
    for (let i = 0; i < 3; i++) {
      expect((await exchange(inbound.dispatch, httpCall())).text).toBe("b")
    }
    expect((await exchange(inbound.dispatch, httpCall({}, { endpoint: "a" }))).text).toBe("a")
    inbound.setHealth(payments, "b", false, "has no check, so nobody can know")
    inbound.setHealth(payments, "a", true, "status 200")
    expect(inbound.endpoints().map(({ healthy }) => healthy)).toEqual([true, true])
    inbound.setHealth(payments, "a", false, "status 503")
    inbound.setServices([service([{ id: "a", port: a.port, health, weight: 7 }])])
    const { fault } = await exchange(inbound.dispatch, httpCall())
    expect(fault).toMatchObject({ code: "no_healthy_endpoint", sent: false })
    expect(fault?.message).toContain("status 503")
  })

  it.each<[string, Call, string]>([
    ["an unknown service", httpCall({}, { service: ServiceName.make("refunds") }), "refunds"],
    ["an unknown endpoint", httpCall({}, { endpoint: "9" }), '"9"']
  ])("answers %s with no_healthy_endpoint", async (_, call, part) => {
    const { inbound, observer } = makeInbound()
    inbound.setServices([service([{ id: "0", port: 1 }])])
    const { fault } = await exchange(inbound.dispatch, call)
    expect(fault).toMatchObject({ code: "no_healthy_endpoint", sent: false, node: "host-a" })
    expect(fault?.message).toContain(part)
    expect(observer.seen[0]?.ends).toHaveLength(1)
  })

  it("asks first whether its node may speak for whom the call says", async () => {
    const orders = serviceCaller(ServiceName.make("orders"))
    const asked: Array<unknown> = []
    const metrics = new MetricRegistry()
    const access = new AccessGuard({ node: "host-a", metrics, hostOf: () => "host-b" })
    access.set([{ name: "closed", mode: "enforce", services: ["*"], allow: [], deny: [] }])
    const { inbound, observer } = makeInbound({
      speaksFor: ({ identity, service }) => {
        asked.push(identity)
        return { code: "denied", message: "not it", node: "host-a", service, sent: false }
      },
      access
    })
    const { fault } = await exchange(inbound.dispatch, httpCall({}, { identity: orders }))
    expect(fault).toMatchObject({ code: "denied", message: "not it" })
    expect(asked).toEqual([orders])
    // Nobody is judged by a name that is not its own.
    expect(metrics.families.get("skein_access_decisions_total")?.cells.size).toBe(0)
    expect(observer.seen[0]?.ends[0]?.outcome).toMatchObject({ kind: "fault", code: "denied" })
  })

  it("ends a call at its deadline and frees the connection", async () => {
    const program = await app("a")
    const { inbound, ticker, observer } = makeInbound()
    inbound.setServices([service([{ id: "0", port: program.port }])])
    const receiver = new RecordingReceiver()
    inbound.dispatch(httpCall({ target: "/slow" }, { deadline: 250 }), receiver).end(noFields)
    while (program.held.length === 0) await turn()
    ticker.advance(240)
    expect(receiver.over).toBe(false)
    ticker.advance(20)
    expect(receiver.fault).toMatchObject({ code: "upstream_timeout", sent: true })
    expect(receiver.fault?.message).toContain("250 ms")
    while (program.sockets.size > 0) await turn()
    expect(observer.seen[0]?.ends).toHaveLength(1)
    expect(inbound.inFlight).toBe(0)
    expect(ticker.timers).toBe(0)
  })

  it("drains: refuses what is new, finishes what runs, and says when it is idle", async () => {
    const program = await app("a")
    const { inbound } = makeInbound()
    inbound.setServices([service([{ id: "0", port: program.port }])])
    const slow = exchange(inbound.dispatch, httpCall({ target: "/slow" }))
    while (program.held.length === 0) await turn()
    inbound.drain()
    const { fault } = await exchange(inbound.dispatch, httpCall())
    expect(fault).toMatchObject({ code: "draining", sent: false })
    let idle = false
    let stopped = false
    inbound.whenIdle(() => {
      idle = true
    })
    const stop = inbound.whenIdle(() => {
      stopped = true
    })
    stop()
    await turn()
    expect(idle).toBe(false)
    program.release()
    expect((await slow).text).toBe("a")
    expect([idle, stopped, inbound.inFlight]).toEqual([true, false, 0])
    let still = false
    inbound.whenIdle(() => {
      still = true
    })
    expect(still).toBe(true)
  })

  it("keeps the connections of endpoints that a reload leaves as they are", async () => {
    const [a, b] = [await app("a"), await app("b")]
    const { inbound, metrics } = makeInbound()
    inbound.setServices([
      service([
        { id: "a", port: a.port },
        { id: "b", port: b.port }
      ])
    ])
    await exchange(inbound.dispatch, httpCall({}, { endpoint: "a" }))
    const slow = exchange(inbound.dispatch, httpCall({ target: "/slow" }, { endpoint: "b" }))
    while (b.held.length === 0) await turn()
    metrics.collect()
    inbound.setServices([service([{ id: "a", port: a.port, weight: 10 }])])
    await exchange(inbound.dispatch, httpCall({}, { endpoint: "a" }))
    expect(a.accepted()).toBe(1)
    const { fault } = await exchange(inbound.dispatch, httpCall({}, { endpoint: "b" }))
    expect(fault?.code).toBe("no_healthy_endpoint")
    b.release()
    expect((await slow).text).toBe("b")
    while (b.sockets.size > 0) await turn()
    const cells = metrics.families.get("skein_inbound_endpoint_in_flight")?.cells
    expect([...(cells?.keys() ?? [])]).toEqual([
      JSON.stringify({ service: "payments", endpoint: `${self.peer}/payments/a` })
    ])
  })

  it("keeps what is known of an endpoint's health when only its timeouts change", async () => {
    const health = { kind: "tcp", interval: 1_000, timeout: 500 } as const
    const { inbound } = makeInbound()
    inbound.setServices([service([{ id: "a", port: 1, health }])])
    inbound.setHealth(payments, "a", true, "accepted")
    inbound.setServices([service([{ id: "a", port: 1, health }], { connectTimeout: 50 })])
    expect(inbound.endpoints()[0]).toMatchObject({ healthy: true, reason: "accepted" })
    inbound.setServices([service([{ id: "a", port: 2, health }])])
    expect(inbound.endpoints()[0]).toMatchObject({ healthy: false, reason: "not checked yet" })
  })

  it("carries tunnels to tcp and to http services, and HTTP to http services only", async () => {
    const echo = await startProgram(rawProgram((socket) => socket.pipe(socket)))
    cleanups.push(echo.close)
    const { inbound } = makeInbound()
    for (const protocol of ["tcp", "http"] as const) {
      inbound.setServices([service([{ id: "0", port: echo.port }], { protocol })])
      const { text } = await exchange(inbound.dispatch, tcpCall(), "bytes")
      expect(text).toBe("bytes")
    }
    inbound.setServices([service([{ id: "0", port: echo.port }], { protocol: "tcp" })])
    const { fault } = await exchange(inbound.dispatch, httpCall())
    expect(fault).toMatchObject({ code: "bad_request", sent: false })
    expect(fault?.message).toContain("payments speaks tcp")
  })

  it("records a cancelled call as what its caller says", async () => {
    const program = await app("a")
    const { inbound, observer } = makeInbound()
    inbound.setServices([service([{ id: "0", port: program.port }])])
    const stream = inbound.dispatch(httpCall({ target: "/slow" }), new RecordingReceiver())
    stream.end(noFields)
    while (program.held.length === 0) await turn()
    const fault = { message: "gone", node: "b", service: undefined, sent: true } as const
    stream.cancel({ code: "client_gone", ...fault })
    stream.cancel({ code: "client_gone", ...fault })
    expect(observer.seen[0]?.ends).toEqual([
      {
        outcome: { kind: "fault", code: "client_gone", message: "gone" },
        bytesIn: 0,
        bytesOut: 0
      }
    ])
    while (program.sockets.size > 0) await turn()
  })
})

describe("what throws", () => {
  const broken = new Error("thrown by the test")
  const breaks = (): never => {
    throw broken
  }
  const setUp = (change: Partial<InboundOptions> = {}) => {
    const defects: Array<unknown> = []
    const made = makeInbound({ onDefect: (error) => defects.push(error), ...change })
    return { ...made, defects }
  }

  it.each(["begin", "endpoint", "responded", "end"] as const)(
    "in an observer (%s) costs no call anything",
    async (method) => {
      const program = await app("yes")
      const observer = new RecordingObserver()
      const begin = observer.begin.bind(observer)
      observer.begin =
        method === "begin" ? breaks : (info) => ({ ...begin(info), [method]: breaks })
      const { inbound, defects } = setUp({ observer })
      inbound.setServices([service([{ id: "0", port: program.port }])])
      const answer = await exchange(inbound.dispatch, httpCall())
      expect(answer.text).toBe("yes")
      expect(inbound.inFlight).toBe(0)
      expect(defects).toEqual([broken])
    }
  )

  it("in an observer of a call that is refused costs it nothing", async () => {
    const observer = new RecordingObserver()
    const begin = observer.begin.bind(observer)
    observer.begin = (info) => ({ ...begin(info), end: breaks })
    const { inbound, defects } = setUp({ observer })
    const answer = await exchange(inbound.dispatch, httpCall())
    expect(answer.fault?.code).toBe("no_healthy_endpoint")
    expect(defects).toEqual([broken])
  })

  it("as an endpoint is called fails the call and leaves nothing in flight", async () => {
    const { inbound, defects, ticker } = setUp({
      sockets: Object.assign(unlimitedSockets(), { take: breaks })
    })
    inbound.setServices([service([{ id: "0", port: 1 }])])
    const answer = await exchange(inbound.dispatch, httpCall({}, { deadline: 1_000 }))
    expect(answer.fault).toMatchObject({ code: "upstream_reset", node: "host-a" })
    expect(inbound.inFlight).toBe(0)
    expect(ticker.timers).toBe(0)
    expect(defects).toEqual([broken])
  })

  it("in a receiver costs its exchange and the connection, and nothing stays", async () => {
    const program = await app("yes")
    const { inbound, defects } = setUp()
    inbound.setServices([service([{ id: "0", port: program.port }])])
    const bad = new RecordingReceiver()
    bad.onHead = breaks
    inbound.dispatch(httpCall(), bad).end(noFields)
    await bad.done
    expect(bad.fault?.code).toBe("upstream_reset")
    expect(inbound.inFlight).toBe(0)
    const good = await exchange(inbound.dispatch, httpCall())
    expect(good.text).toBe("yes")
    expect(defects).toEqual([broken])
  })

  it("in a receiver of a tunnel costs that tunnel", async () => {
    const program = await startProgram(rawProgram((socket) => socket.end("hello")))
    cleanups.push(program.close)
    const { inbound, defects } = setUp()
    inbound.setServices([service([{ id: "0", port: program.port }], { protocol: "tcp" })])
    const bad = new RecordingReceiver()
    bad.onData = breaks
    inbound.dispatch(tcpCall(), bad)
    await bad.done
    expect(bad.fault?.code).toBe("upstream_reset")
    expect(inbound.inFlight).toBe(0)
    expect(defects).toEqual([broken])
  })
})
