import { once } from "node:events"
import net from "node:net"
import tls from "node:tls"
import { afterEach, describe, expect, it } from "vitest"
import type { OnDefect } from "../model/Defect.ts"
import { ServiceName } from "../model/Names.ts"
import { defaultPolicy } from "../schema/PolicySchema.ts"
import { freePort, payments, self } from "../testing/InboundFixture.ts"
import { ManualTicker } from "../testing/LinkTestPair.ts"
import { HoldingCallee, makeContext, RawClient, turn } from "../testing/ListenerFixture.ts"
import { SessionHost } from "../testing/SessionHosts.ts"
import { Programs } from "./inbound/Programs.ts"
import { ForeignRelay } from "./listener/ForeignRelay.ts"
import { PlaneListeners } from "./PlaneListeners.ts"
import type { FromPlane, ListenSpec } from "./PlaneMessages.ts"
import { SocketBudget } from "./socket/SocketBudget.ts"

const closing: Array<() => unknown> = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

const make = (sharePorts = false, onDefect?: OnDefect, suffix?: string) => {
  const { ticker, metrics, base, dispose } = makeContext()
  const callee = new HoldingCallee()
  const posted: Array<FromPlane> = []
  const waiting = new Set<() => void>()
  const post = (message: FromPlane): void => {
    posted.push(message)
    for (const look of [...waiting]) look()
  }
  const host = new SessionHost("B", new ManualTicker())
  const relay = new ForeignRelay(post, () => ticker.now())
  const listeners = new PlaneListeners({
    setup: {
      ...{ self, index: 0, threads: 1, sharePorts, defaultPolicy, suffix },
      ...{ accessLog: false, traces: false }
    },
    ...{ ticker, metrics, log: base.log, onDefect, post, relay },
    dispatch: callee.dispatch,
    programs: new Programs(),
    protocolOf: () => undefined,
    sockets: new SocketBudget().clients,
    transport: host.transport
  })
  closing.push(() => {
    listeners.close()
    relay.close()
    dispose()
  })
  /** The next message of that type about that port, one that came already included. */
  const said = <Type extends FromPlane["type"]>(
    type: Type,
    id: number
  ): Promise<Extract<FromPlane, { readonly type: Type }>> =>
    new Promise((resolve) => {
      const look = () => {
        const found = posted.find(
          (it): it is Extract<FromPlane, { readonly type: Type }> =>
            it.type === type && "id" in it && it.id === id
        )
        if (found === undefined) return
        waiting.delete(look)
        resolve(found)
      }
      waiting.add(look)
      look()
    })
  const open = async (id: number, spec: ListenSpec): Promise<number> => {
    listeners.receive({ type: "listen", id, spec })
    return (await said("listening", id)).address.port
  }
  return { listeners, callee, posted, said, open, ticker, host, relay }
}

const connect = async (port: number): Promise<RawClient> => {
  const client = new RawClient(port)
  closing.push(() => void client.socket.destroy())
  await Promise.race([once(client.socket, "connect").catch(() => undefined), client.closed])
  return client
}

const tcp = (port = 0): ListenSpec => ({
  kind: "tcp",
  host: "127.0.0.1",
  port,
  service: ServiceName.make("raw")
})

describe("ports of a request thread", () => {
  it("are told with the number they got, and are for what they were opened for", async () => {
    const { callee, open } = make()
    const http = await open(1, {
      ...{ kind: "http", host: "127.0.0.1", port: 0, service: payments },
      remoteNames: undefined
    })
    const raw = await open(2, tcp())
    const proxy = await open(3, { kind: "proxy", host: "127.0.0.1", port: 0 })
    expect(new Set([http, raw, proxy]).size).toBe(3)
    ;(await connect(http)).send("GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
    expect((await callee.next()).call).toMatchObject({ kind: "http", service: "payments" })
    await connect(raw)
    expect((await callee.next()).call).toMatchObject({ kind: "tcp", service: "raw" })
    ;(await connect(proxy)).send("GET http://web.mesh/ HTTP/1.1\r\nhost: web.mesh\r\n\r\n")
    expect((await callee.next()).call).toMatchObject({ kind: "http", service: "web" })
  })

  it("go by names under the node's own suffix as well", async () => {
    const { callee, open } = make(false, undefined, "corp.example")
    const proxy = await open(1, { kind: "proxy", host: "127.0.0.1", port: 0 })
    for (const host of ["web.corp.example", "web.mesh"]) {
      ;(await connect(proxy)).send(`GET http://${host}/ HTTP/1.1\r\nhost: ${host}\r\n\r\n`)
      expect((await callee.next()).call).toMatchObject({ kind: "http", service: "web" })
    }
    const auto = await open(2, {
      ...{ kind: "http", host: "127.0.0.1", port: 0, service: payments },
      ...{ remoteNames: undefined, detect: 1_000 }
    })
    const sealed = tls.connect({ port: auto, host: "127.0.0.1", servername: "web.corp.example" })
    sealed.on("error", () => undefined)
    closing.push(() => void sealed.destroy())
    expect((await callee.next()).call).toMatchObject({ kind: "tcp", service: "web" })
    const client = await connect(proxy)
    client.send("GET http://web.corp/ HTTP/1.1\r\nhost: web.corp\r\n\r\n")
    await client.receives(/"code":"/)
    expect(callee.exchanges).toHaveLength(3)
  })

  it("that cannot be had are told with the reason", async () => {
    const { listeners, said, open } = make()
    const port = await open(1, tcp())
    listeners.receive({ type: "listen", id: 2, spec: tcp(port) })
    expect(await said("listen.failed", 2)).toMatchObject({
      code: "address_in_use",
      message: expect.stringContaining(`127.0.0.1:${port}`)
    })
    listeners.receive({
      ...{ type: "listen", id: 3 },
      spec: { kind: "mesh", host: "127.0.0.1", port, ipv6Only: false }
    })
    expect(await said("listen.failed", 3)).toMatchObject({ code: "address_in_use" })
    listeners.receive({
      ...{ type: "listen", id: 4 },
      spec: { kind: "mesh", host: "192.0.2.7", port: 0, ipv6Only: false }
    })
    expect(await said("listen.failed", 4)).toMatchObject({ code: "address_not_local" })
  })

  it("are given free by stop, while what is open goes on", async () => {
    const { callee, listeners, said, open } = make()
    const port = await open(1, tcp())
    const client = await connect(port)
    const held = await callee.next()
    listeners.receive({ type: "listen.stop", id: 1 })
    await said("listen.stopped", 1)
    expect(await open(2, tcp(port))).toBe(port)
    client.socket.write("still here")
    await held.until(() => held.text === "still here")
  })

  it("are all given free at once when the thread is about to end, also those being opened", async () => {
    const { callee, listeners, open } = make()
    const port = await open(1, tcp())
    const client = await connect(port)
    const held = await callee.next()
    const late = await freePort()
    listeners.receive({ type: "listen", id: 2, spec: tcp(late) })
    listeners.stop()
    expect(await open(3, tcp(port))).toBe(port)
    expect((await connect(late)).error).toBeDefined()
    client.socket.write("still here")
    await held.until(() => held.text === "still here")
  })

  it("are drained: nothing new, and cut off at the deadline", async () => {
    const { callee, listeners, said, open, posted, ticker } = make()
    const port = await open(1, tcp())
    await connect(port)
    const held = await callee.next()
    listeners.receive({ type: "listen.drain", id: 1, deadline: 1_000 })
    await turn()
    expect((await connect(port)).error).toBeDefined()
    expect(posted.some(({ type }) => type === "listen.drained")).toBe(false)
    while (held.cancelled === undefined) {
      ticker.advance(100)
      await turn()
    }
    await said("listen.drained", 1)
  })

  it("are closed with all that is open", async () => {
    const { callee, listeners, open } = make()
    const port = await open(1, tcp())
    const client = await connect(port)
    await callee.next()
    listeners.receive({ type: "listen.close", id: 1 })
    await client.closed
    expect((await connect(port)).error).toBeDefined()
  })

  it("of which nobody knows are stopped and drained all the same: who asks waits for it", async () => {
    const { listeners, said } = make()
    listeners.receive({ type: "listen.stop", id: 7 })
    listeners.receive({ type: "listen.drain", id: 8, deadline: 1 })
    listeners.receive({ type: "listen.close", id: 9 })
    await said("listen.stopped", 7)
    await said("listen.drained", 8)
  })

  for (const type of ["listen.stop", "listen.drain", "listen.close"] as const) {
    it(`are not left open by ${type} while they are being opened`, async () => {
      const { listeners, open, posted } = make()
      const port = await freePort()
      listeners.receive({ type: "listen", id: 1, spec: tcp(port) })
      if (type === "listen.drain") listeners.receive({ type, id: 1, deadline: 1_000 })
      else listeners.receive({ type, id: 1 })
      // One that is opened later says so later.
      await open(2, tcp())
      await turn()
      expect((await connect(port)).error).toBeDefined()
      expect(posted.some((it) => it.type === "listening" && it.id === 1)).toBe(false)
    })
  }

  it("are shared with other threads of the node where there are some", async () => {
    const [one, other] = [make(true), make(true)]
    const port = await one.open(1, tcp())
    expect(await other.open(1, tcp(port))).toBe(port)
    one.listeners.receive({ type: "listen.close", id: 1 })
    await turn()
    await connect(port)
    expect((await other.callee.next()).call.service).toBe("raw")
  })
})

describe("the port for other nodes", () => {
  const mesh: ListenSpec = { kind: "mesh", host: "127.0.0.1", port: 0, ipv6Only: false }

  const asking = "\x13/multistream/1.0.0\n\x0f/skein/noise/3\n"

  it("hands on what asks for a handshake of libp2p's, and says to which port it came", async () => {
    const { open, said, relay } = make()
    const port = await open(4, mesh)
    const client = await connect(port)
    client.send(asking)
    expect(await said("relay.open", 1)).toMatchObject({
      listener: 4,
      remote: { host: "127.0.0.1", port: client.socket.localPort }
    })
    expect(Buffer.from((await said("relay.data", 1)).bytes).toString()).toBe(asking)
    expect(relay.size).toBe(1)
  })

  it("gives its number free, while connections that it handed on stay", async () => {
    const { open, listeners, said, relay } = make()
    const port = await open(4, mesh)
    const client = await connect(port)
    client.send(asking)
    await said("relay.open", 1)
    listeners.receive({ type: "listen.stop", id: 4 })
    await said("listen.stopped", 4)
    expect(await open(5, { ...mesh, port })).toBe(port)
    listeners.receive({ type: "listen.close", id: 4 })
    relay.receive({ type: "relay.data", id: 1, bytes: Buffer.from("here") })
    await client.receives(/here/)
  })

  it("may be on IPv6", async () => {
    const { open } = make()
    const port = await open(1, { ...mesh, host: "::1", ipv6Only: true })
    const socket = net.connect({ host: "::1", port })
    closing.push(() => void socket.destroy())
    await once(socket, "connect")
  })
})

describe("what throws", () => {
  it("as a port is drained is reported, and the answer comes all the same", async () => {
    const defects: Array<unknown> = []
    const { listeners, callee, open, said, ticker } = make(false, (error) => defects.push(error))
    const port = await open(1, tcp())
    await connect(port)
    const held = await callee.next()
    held.cancel = () => {
      throw new Error("thrown by the test")
    }
    listeners.receive({ type: "listen.drain", id: 1, deadline: 100 })
    ticker.advance(200)
    await said("listen.drained", 1)
    await turn()
    expect(defects.map(String)).toEqual(["Error: thrown by the test"])
  })
})
