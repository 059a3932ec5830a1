import http from "node:http"
import { afterEach, describe, expect, it } from "vitest"
import type { AccessSetting } from "../../model/Access.ts"
import { serviceCaller } from "../../model/Caller.ts"
import { parseCallerPattern } from "../../model/CallerPattern.ts"
import { noFields } from "../../model/Exchange.ts"
import type { LocalService } from "../../model/LocalService.ts"
import { ServiceName } from "../../model/Names.ts"
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
import { AccessGuard } from "./AccessGuard.ts"
import { Inbound } from "./Inbound.ts"

const cleanups: Array<() => Promise<void> | void> = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const orders = serviceCaller(ServiceName.make("orders"))
const web = serviceCaller(ServiceName.make("web"))
const from = (text: string) => {
  const pattern = parseCallerPattern(text)
  if (pattern === undefined) throw new Error(`${text} names nobody`)
  return [pattern]
}
const rules = (change: Partial<AccessSetting> = {}): AccessSetting => ({
  name: "payments-charge",
  mode: "enforce",
  services: ["payments"],
  allow: [{ from: from("orders") }],
  deny: [],
  ...change
})

const start = async (
  server: Parameters<typeof startProgram>[0],
  change: Partial<LocalService> = {}
) => {
  const program = await startProgram(server)
  cleanups.push(program.close)
  const metrics = new MetricRegistry()
  const observer = new RecordingObserver()
  const decided: Array<string> = []
  observer.onDecided = (decision, rule) => decided.push(`${decision} ${rule}`)
  const access = new AccessGuard({ node: "host-a", metrics, hostOf: () => "host-b" })
  const inbound = new Inbound({
    ...{ self, metrics, observer, access, ticker: new HandTicker() },
    callerName: () => "host-b"
  })
  cleanups.push(() => inbound.close())
  const endpoint = { id: "0", host: "127.0.0.1", port: program.port, weight: 100 }
  inbound.setServices([{ name: payments, protocol: "http", endpoints: [endpoint], ...change }])
  const set = (...settings: ReadonlyArray<AccessSetting>) => {
    access.set(settings)
    inbound.recheckAccess()
  }
  const counted = () => {
    const family = metrics.families.get("skein_access_decisions_total")
    if (family?.kind !== "counter") throw new Error("nothing is counted")
    return Object.fromEntries(
      Array.from(family.cells.values(), ({ cell, labels }) => [
        Object.values(labels).join(" "),
        cell.value
      ])
    )
  }
  return { inbound, observer, decided, program, set, counted }
}

const turn = () => new Promise(setImmediate)

/** Answers /slow never; everything else at once. */
const app = () => {
  let requests = 0
  const server = http.createServer((request, response) => {
    requests++
    if (request.url !== "/slow") response.end("paid")
  })
  return { server, requests: () => requests }
}

describe("the guard", () => {
  it("refuses who may not, with the rule, before the program sees anything", async () => {
    const { requests, server } = app()
    const { counted, decided, inbound, observer, program, set } = await start(server)
    set(rules({ deny: [{ from: from("orders"), methods: ["DELETE"] }] }))
    const allowed = await exchange(inbound.dispatch, httpCall({}, { identity: orders }))
    expect(allowed.text).toBe("paid")
    const refused = await exchange(
      inbound.dispatch,
      httpCall({ target: "/a?key=1" }, { identity: web })
    )
    expect(refused.fault).toEqual({
      code: "denied",
      message:
        "web (on host-b) may not GET /a of payments: no rule allows it, and payments-charge names payments",
      node: "host-a",
      service: "payments",
      sent: false
    })
    const call = httpCall({ method: "DELETE" }, { identity: orders })
    const denied = await exchange(inbound.dispatch, call)
    expect(denied.fault?.message).toBe(
      "orders (on host-b) may not DELETE / of payments: rule payments-charge.deny[0] denies it"
    )
    const tunnel = await exchange(inbound.dispatch, tcpCall({ identity: web }))
    expect(tunnel.fault?.message).toContain("web (on host-b) may not open a tunnel to payments")
    expect([requests(), program.accepted()]).toEqual([1, 1])
    expect(decided).toEqual([
      "allow payments-charge.allow[0]",
      "deny unmatched",
      "deny payments-charge.deny[0]",
      "deny unmatched"
    ])
    expect(observer.seen[1]?.ends[0]?.outcome).toMatchObject({ kind: "fault", code: "denied" })
    expect(counted()).toEqual({
      "payments payments-charge.allow[0] allow": 1,
      "payments unmatched deny": 2,
      "payments payments-charge.deny[0] deny": 1
    })
  })

  it("says nothing about endpoints to who may not call, and makes no label of a name that is not here", async () => {
    const { counted, inbound, set } = await start(app().server)
    set(rules({ services: ["*"] }))
    const refunds = ServiceName.make("refunds")
    const { fault } = await exchange(
      inbound.dispatch,
      httpCall({}, { identity: web, service: refunds })
    )
    expect(fault?.code).toBe("denied")
    expect(counted()).toEqual({ "unknown unmatched deny": 1 })
  })

  it("lets through what is in audit, and counts what it would have refused", async () => {
    const { counted, decided, inbound, set } = await start(app().server)
    set(rules({ mode: "audit" }))
    const { text } = await exchange(inbound.dispatch, httpCall({}, { identity: web }))
    expect(text).toBe("paid")
    expect(decided).toEqual(["would_deny unmatched"])
    expect(counted()).toEqual({ "payments unmatched would_deny": 1 })
  })

  it("counts nothing where there are no rules, and forgets rules that are gone", async () => {
    const { counted, decided, inbound, set } = await start(app().server)
    const ask = () => exchange(inbound.dispatch, httpCall({}, { identity: orders }))
    await ask()
    expect([decided, counted()]).toEqual([[], {}])
    set(rules())
    await ask()
    set(rules({ name: "other" }))
    await ask()
    expect(counted()).toEqual({ "payments other.allow[0] allow": 1 })
    set(rules({ name: "other" }), rules({ name: "third" }))
    await ask()
    expect(counted()).toEqual({ "payments other.allow[0] allow": 2 })
  })

  it("refuses a tunnel to the port of a program whose paths are guarded", async () => {
    const { inbound, set } = await start(app().server)
    const path = [{ segments: ["charge"], open: false }]
    set(rules({ allow: [{ from: from("orders"), path }] }))
    const tunnel = await exchange(inbound.dispatch, tcpCall({ identity: orders }))
    expect(tunnel.fault?.code).toBe("denied")
  })

  it("judges by where the program listens", async () => {
    const { inbound, program, set } = await start(app().server)
    const ask = () => exchange(inbound.dispatch, httpCall({}, { identity: orders }))
    set(rules({ allow: [{ from: from("orders"), port: [program.port] }] }))
    expect((await ask()).text).toBe("paid")
    set(rules({ allow: [{ from: from("orders"), port: [1] }] }))
    expect((await ask()).fault?.code).toBe("denied")
  })
})

describe("a change of the rules", () => {
  it("ends a request that runs and is no longer allowed, and leaves the others", async () => {
    const { requests, server } = app()
    const { counted, inbound, observer, set } = await start(server)
    const run = (identity: typeof orders) => {
      const receiver = new RecordingReceiver()
      inbound.dispatch(httpCall({ target: "/slow" }, { identity }), receiver).end(noFields)
      return receiver
    }
    const [mine, other] = [run(orders), run(web)]
    while (requests() < 2) await turn()
    set(rules({ allow: [{ from: from("*") }] }))
    expect([mine.over, other.over]).toEqual([false, false])
    set(rules())
    expect(mine.over).toBe(false)
    expect(other.fault).toMatchObject({ code: "denied", sent: true, node: "host-a" })
    expect(other.fault?.message).toContain("web (on host-b) may not GET /slow of payments")
    expect(counted()).toEqual({ "payments unmatched deny": 1 })
    expect(observer.seen[1]?.ends).toMatchObject([{ outcome: { kind: "fault", code: "denied" } }])
    expect(inbound.inFlight).toBe(1)
  })

  it("says nothing of what its caller gave up when it heard of another", async () => {
    const { server } = app()
    const { counted, inbound, program, set } = await start(server)
    set(rules({ allow: [{ from: from("web") }] }))
    const [first, second] = [new RecordingReceiver(), new RecordingReceiver()]
    const [, other] = [first, second].map((receiver) => {
      const stream = inbound.dispatch(httpCall({ target: "/slow" }, { identity: web }), receiver)
      stream.end(noFields)
      return stream
    })
    while (program.sockets.size < 2) await turn()
    const onFault = first.onFault.bind(first)
    first.onFault = (fault) => {
      onFault(fault)
      other?.cancel(fault)
    }
    set(rules())
    expect(first.fault).toMatchObject({ code: "denied" })
    expect(second.over).toBe(false)
    expect(counted()).toEqual({
      "payments payments-charge.allow[0] allow": 2,
      "payments unmatched deny": 1
    })
  })

  it("ends what was upgraded, which is judged by the request that asked for it", async () => {
    const { server } = app()
    server.on("upgrade", (_, socket) => {
      socket.write(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"
      )
      socket.on("data", (chunk) => socket.write(chunk))
    })
    const { inbound, program, set } = await start(server)
    const headers = [{ name: "upgrade", value: "websocket", open: false }]
    const path = [{ segments: ["live"], open: false }]
    set(rules({ allow: [{ from: from("web"), path, headers }] }))
    const plain = await exchange(inbound.dispatch, httpCall({ target: "/live" }, { identity: web }))
    expect(plain.fault?.code).toBe("denied")
    const receiver = new RecordingReceiver()
    const call = httpCall({ target: "/live", upgrade: "websocket" }, { identity: web })
    const stream = inbound.dispatch(call, receiver)
    await receiver.until(() => receiver.head !== undefined)
    expect(receiver.head?.status).toBe(101)
    stream.write(Buffer.from("ping"))
    await receiver.until(() => receiver.text === "ping")
    set(rules({ allow: [{ from: from("web"), path }], deny: [{ from: from("*"), headers }] }))
    expect(receiver.fault).toMatchObject({ code: "denied", sent: true })
    expect(receiver.fault?.message).toContain("rule payments-charge.deny[0] denies it")
    while (program.sockets.size > 0) await turn()
  })

  it("ends tunnels, and nothing that is in audit", async () => {
    const ended: Array<string> = []
    const { inbound, program, set } = await start(
      rawProgram((socket) => {
        socket.on("close", () => ended.push("closed"))
        socket.on("data", (chunk) => socket.write(chunk))
      }),
      { protocol: "tcp" }
    )
    const receiver = new RecordingReceiver()
    const stream = inbound.dispatch(tcpCall({ identity: web }), receiver)
    await receiver.until(() => receiver.head !== undefined)
    stream.write(Buffer.from("ping"))
    await receiver.until(() => receiver.text === "ping")
    set(rules({ mode: "audit" }))
    expect([receiver.over, program.sockets.size]).toEqual([false, 1])
    set(rules())
    expect(receiver.fault).toMatchObject({ code: "denied", sent: true })
    while (ended.length === 0) await turn()
    expect(inbound.inFlight).toBe(0)
  })
})
