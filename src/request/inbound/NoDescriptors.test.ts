/** Where this node has no descriptor left, it is the node that says so, and no endpoint is to blame. */
import http from "node:http"
import net from "node:net"
import { Effect } from "effect"
import { afterEach, describe, expect, it, vi } from "vitest"
import { probe } from "../../mesh/health/HealthProbe.ts"
import { judge, unknownHealth } from "../../mesh/health/HealthState.ts"
import { noFields } from "../../model/Exchange.ts"
import {
  HandTicker,
  httpCall,
  payments,
  RecordingReceiver,
  rawProgram,
  startProgram,
  tcpCall
} from "../../testing/InboundFixture.ts"
import { SocketBudget } from "../socket/SocketBudget.ts"
import { HttpEndpoint } from "./HttpEndpoint.ts"
import { TcpEndpoint } from "./TcpEndpoint.ts"

const cleanups: Array<() => Promise<void> | void> = []
afterEach(async () => {
  vi.restoreAllMocks()
  for (const cleanup of cleanups.splice(0)) await cleanup()
})

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** From now on the system has none for connections. */
const exhaust = (code: string) => {
  vi.spyOn(net, "connect").mockImplementation(() => {
    const socket = new net.Socket()
    queueMicrotask(() => socket.destroy(Object.assign(new Error(`connect ${code}`), { code })))
    return socket
  })
}

const common = () => {
  const counts = { connectFailures: 0 }
  return {
    counts,
    service: payments,
    host: "127.0.0.1",
    connectTimeout: 300,
    idleTimeout: 30_000,
    node: "host-a",
    ticker: new HandTicker(),
    onConnectFailure: () => counts.connectFailures++
  }
}

describe.each(["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"])("%s", (code) => {
  it("on the way to a program is overflow, and no failure of the program", async () => {
    exhaust(code)
    const options = { ...common(), port: 1 }
    const [one, other] = [new RecordingReceiver(), new RecordingReceiver()]
    new HttpEndpoint(options).open(httpCall(), noFields, one).end(noFields)
    new TcpEndpoint(options).open(tcpCall(), noFields, other)
    await Promise.all([one.done, other.done])
    for (const { fault } of [one, other]) {
      expect(fault).toMatchObject({ code: "overflow", sent: false })
      expect(fault?.message).toContain(code)
    }
    expect(options.counts.connectFailures).toBe(0)
  })

  it("in a health check says nothing of the endpoint", async () => {
    exhaust(code)
    const check = { kind: "tcp", interval: 1_000, timeout: 200 } as const
    const result = await Effect.runPromise(probe({ host: "127.0.0.1", port: 1, check }))
    expect(result.reason).toContain(code)
    const healthy = judge(unknownHealth, { ok: true, reason: "fine" })
    for (const before of [healthy, unknownHealth]) expect(judge(before, result)).toBe(before)
  })
})

/** Programs that answer when told, and endpoints for them that share so many places. */
const sharing = async (places: number, programs: number) => {
  const budget = new SocketBudget(places)
  budget.clients.used = false
  const options = common()
  const held: Array<http.ServerResponse> = []
  const make = async () => {
    const app = await startProgram(http.createServer((_, response) => held.push(response)))
    const endpoint = new HttpEndpoint({ ...options, port: app.port, sockets: budget.programs })
    cleanups.push(app.close, () => endpoint.retire())
    return endpoint
  }
  const endpoints: Array<HttpEndpoint> = []
  for (let i = 0; i < programs; i++) endpoints.push(await make())
  const call = (endpoint: HttpEndpoint | undefined) => {
    const receiver = new RecordingReceiver()
    endpoint?.open(httpCall(), noFields, receiver).end(noFields)
    return receiver
  }
  const answer = async () => {
    while (held.length === 0) await turn()
    held.shift()?.end("ok")
  }
  return { budget, endpoints, call, answer, ticker: options.ticker, held }
}

describe("the places that endpoints share", () => {
  it("are waited for, and overflow says whose limit it was", async () => {
    const { endpoints, call, answer, ticker, budget, held } = await sharing(1, 2)
    const [a, b] = endpoints
    const first = call(a)
    const hasty = call(b)
    expect([a?.connections, b?.connections, b?.waiting]).toEqual([1, 0, 1])
    while (held.length === 0) await turn()
    ticker.advance(400)
    expect(hasty.fault).toMatchObject({ code: "overflow", sent: false })
    expect(hasty.fault?.message).toContain("limit of open files")
    const patient = call(b)
    await answer()
    await answer()
    await Promise.all([first.done, patient.done])
    expect([first.text, patient.text]).toEqual(["ok", "ok"])
    expect(budget.held).toBe(1)
  })

  it("are taken from who keeps a connection idle, and given back with it", async () => {
    const { endpoints, call, answer, budget } = await sharing(1, 2)
    const [a, b] = endpoints
    const first = call(a)
    await answer()
    await first.done
    expect(a?.idleConnections).toBe(1)
    const second = call(b)
    expect([a?.connections, b?.connections]).toEqual([0, 1])
    await answer()
    await second.done
    expect(second.text).toBe("ok")
    b?.retire()
    while (budget.held > 0) await turn()
  })

  it("go round, so that no endpoint's calls wait while another's are served for ever", async () => {
    const { endpoints, call, answer, held } = await sharing(2, 2)
    const [a, b] = endpoints
    const busy = [call(a), call(a), call(a), call(a), call(a), call(a)]
    const other = call(b)
    while (held.length < 2) await turn()
    await answer()
    // The place of the one that is answered goes to the endpoint that has none, not to a's next.
    while (b?.connections !== 1) await turn()
    for (let i = 0; i < 6; i++) await answer()
    await Promise.all([other.done, ...busy.map(({ done }) => done)])
    expect([other, ...busy].map(({ text }) => text)).toEqual(Array(7).fill("ok"))
  })

  it("are taken by tunnels too, which do not wait", async () => {
    const budget = new SocketBudget(1)
    budget.clients.used = false
    const app = await startProgram(rawProgram((socket) => socket.resume()))
    cleanups.push(app.close)
    const options = { ...common(), port: app.port, sockets: budget.programs }
    const endpoint = new TcpEndpoint(options)
    const [first, second] = [new RecordingReceiver(), new RecordingReceiver()]
    const tunnel = endpoint.open(tcpCall(), noFields, first)
    endpoint.open(tcpCall(), noFields, second)
    await second.done
    expect(second.fault).toMatchObject({ code: "overflow", sent: false })
    expect(second.fault?.message).toContain("limit of open files")
    tunnel.end(noFields)
    tunnel.cancel({ code: "client_gone", message: "", node: "", service: payments, sent: true })
    while (budget.held > 0) await turn()
  })
})
