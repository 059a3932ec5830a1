import http from "node:http"
import net from "node:net"
import { afterEach, describe, expect, it } from "vitest"
import { type Caller, hostCaller, serviceCaller } from "../model/Caller.ts"
import { noFields } from "../model/Exchange.ts"
import { NodeName, PeerKey, ServiceName } from "../model/Names.ts"
import type { Session } from "../model/Session.ts"
import type { Ticker } from "../model/Time.ts"
import { spawnHere } from "../node/PlaneHere.ts"
import type { PlaneThread } from "../node/PlaneThread.ts"
import { makePolicy } from "../schema/PolicySchema.ts"
import {
  exchange,
  httpCall,
  payments,
  RecordingReceiver,
  startProgram,
  Watched
} from "../testing/InboundFixture.ts"
import { RawClient, turn } from "../testing/ListenerFixture.ts"
import { endpointView } from "../testing/OutboundFixture.ts"
import { freshSecret } from "../testing/SessionHosts.ts"
import { LoopTicker } from "./LoopTicker.ts"
import type { FromPlane, ListenSpec, ToPlane } from "./PlaneMessages.ts"
import type { AskedRows, Question } from "./PlaneQuestions.ts"
import type { RequestPlane } from "./RequestPlane.ts"

const closing: Array<() => unknown> = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

/** A call is tried once, so that what became of it is seen. */
const defaultPolicy = makePolicy({ retry: "off" })
const loopback = { host: "127.0.0.1", port: 0 }
const hour = 3_600_000

/** A node's request plane in this thread, and what it says; the test is its mesh thread. */
class PlaneHost extends Watched {
  readonly peer: PeerKey
  readonly node: NodeName
  readonly said: Array<FromPlane> = []
  gone = false
  readonly #ticker: Ticker
  readonly #thread: PlaneThread
  #last = 0

  constructor(letter: string, ticker: Ticker) {
    super()
    this.peer = PeerKey.make(`12D3KooW${letter.repeat(44)}`)
    this.node = NodeName.make(`host-${letter.toLowerCase()}`)
    this.#ticker = ticker
    this.#thread = spawnHere(ticker)(
      {
        self: { peer: this.peer, node: this.node },
        ...{ index: 0, threads: 1, sharePorts: false, defaultPolicy },
        ...{ accessLog: false, traces: false }
      },
      {
        onMessage: (message) => {
          this.said.push(message)
          this.happened()
        },
        onGone: () => {
          this.gone = true
          this.happened()
        }
      }
    )
    closing.push(() => this.#thread.terminate())
  }

  get plane(): RequestPlane {
    if (this.#thread.plane === undefined) throw new Error("it runs in this thread")
    return this.#thread.plane
  }

  tell(message: ToPlane): this {
    this.#thread.post(message)
    return this
  }

  of<Type extends FromPlane["type"]>(
    type: Type
  ): Array<Extract<FromPlane, { readonly type: Type }>> {
    return this.said.filter(
      (it): it is Extract<FromPlane, { readonly type: Type }> => it.type === type
    )
  }

  /** The first of its type that comes, or has come. */
  async says<Type extends FromPlane["type"]>(
    type: Type
  ): Promise<Extract<FromPlane, { readonly type: Type }>> {
    await this.until(() => this.of(type).length > 0)
    return this.of(type)[0]!
  }

  async listen(spec: ListenSpec): Promise<number> {
    const id = ++this.#last
    this.tell({ type: "listen", id, spec })
    const mine = () => this.of("listening").find((it) => it.id === id)
    await this.until(() => mine() !== undefined)
    return mine()!.address.port
  }

  async ask(question: Question): Promise<AskedRows> {
    const id = ++this.#last
    this.tell({ type: "ask", id, question })
    const mine = () => this.of("answer").find((it) => it.id === id)
    await this.until(() => mine() !== undefined)
    return mine()!.rows
  }

  /** This node's half of what it shares with another. */
  half(other: PlaneHost, shared: Pick<Session, "id" | "secret">): Session {
    const until = this.#ticker.wall() + hour
    return {
      ...shared,
      peer: other.peer,
      peerName: other.node,
      until,
      facts: { services: ["*"], speaks: [] }
    }
  }
}

/** Both know it, or the one that dials only. */
const share = (a: PlaneHost, b: PlaneHost, alsoAtB = true): void => {
  const shared = freshSecret()
  a.tell({ type: "session", session: a.half(b, shared) })
  if (alsoAtB) b.tell({ type: "session", session: b.half(a, shared) })
}

/** b offers payments, which a calls; who asks a program is told what he asked for. */
const pair = async () => {
  const loop = new LoopTicker()
  closing.push(() => loop.stop())
  /** Timers of minutes, which fire when the test says so. */
  const minutes: Array<() => void> = []
  const ticker: Ticker = {
    ...{ now: loop.now, wall: loop.wall, random: loop.random },
    after: (delay, callback) => {
      if (delay >= 60_000) minutes.push(callback)
      return loop.after(delay, callback)
    }
  }
  const [a, b] = [new PlaneHost("A", ticker), new PlaneHost("B", ticker)]
  const held: Array<http.ServerResponse> = []
  const program = await startProgram(
    http.createServer((request, response) => {
      if (request.url === "/hold") held.push(response)
      else response.end(`you asked for ${request.url}`)
    })
  )
  closing.push(() => program.close())
  b.tell({
    type: "services",
    services: [
      {
        ...{ name: payments, protocol: "http" },
        endpoints: [{ id: "0", host: "127.0.0.1", port: program.port, weight: 100 }]
      }
    ]
  })
  const port = await b.listen({ ...loopback, kind: "mesh", ipv6Only: false })
  const addresses = [`/ip4/127.0.0.1/tcp/${port}`]
  a.tell({ type: "peer", facts: { peer: b.peer, name: b.node, addresses } })
  b.tell({ type: "peer", facts: { peer: a.peer, name: a.node, addresses: [] } })
  a.tell({
    type: "view",
    change: {
      ...{ version: 1, since: undefined, gone: [] },
      services: [
        {
          ...{ name: payments, protocol: "http", removed: [] },
          set: [endpointView("b", { key: `${b.peer}/0`, peer: b.peer, node: b.node })]
        }
      ]
    }
  })
  const call = (target: string) =>
    exchange(a.plane.dispatch, httpCall({ target, authority: "payments.mesh" }))
  /** One that stays in flight until the program answers. */
  const hold = async () => {
    const receiver = new RecordingReceiver()
    const before = held.length
    a.plane
      .dispatch(httpCall({ target: "/hold", authority: "payments.mesh" }), receiver)
      .end(noFields)
    while (held.length === before) await turn()
    return { receiver, response: held.at(-1)! }
  }
  return { a, b, minutes, program, port, call, hold }
}

describe("two request planes", () => {
  it("let nobody speak for a service that its certificate does not grant, whatever it thinks", async () => {
    const { a, b } = await pair()
    const shared = freshSecret()
    a.tell({ type: "session", session: a.half(b, shared) })
    const granted = (speaks: ReadonlyArray<string>) =>
      b.tell({
        type: "session",
        session: { ...b.half(a, freshSecret()), facts: { services: [], speaks } }
      })
    b.tell({ type: "session", session: b.half(a, shared) })
    granted([])
    const orders = serviceCaller(ServiceName.make("orders"))
    const call = async (identity: Caller) => {
      // What they were told before this was asked, they have taken in when they answer.
      for (const host of [a, b]) await host.ask({ kind: "links" })
      const head = { target: "/x", authority: "payments.mesh" }
      const made = httpCall(head, { caller: a.peer, identity })
      const { fault, ...answer } = await exchange(a.plane.dispatch, made)
      return fault === undefined
        ? answer.head?.status
        : `${fault.code} by ${fault.node}: ${fault.message}`
    }
    // Its own node asks first…
    expect(await call(orders)).toMatch(/^denied by host-a: node host-a may not speak for orders/)
    // …and one that does not ask, or believes that it may, is refused where the call ends.
    a.tell({ type: "rights", facts: { services: ["*"], speaks: [] } })
    expect(await call(orders)).toMatch(
      /^denied by host-b: node host-a may not speak for orders: its certificate grants speaking for no service/
    )
    expect(await call(hostCaller(a.node))).toBe(200)
    // Links stay when a certificate is renewed; what it grants by then counts.
    granted(["orders"])
    expect(await call(orders)).toBe(200)
    granted(["web"])
    expect(await call(orders)).toMatch(/^denied by host-b/)
  })

  it("carry a call through a link of their own to a program at the other", async () => {
    const { a, b, call } = await pair()
    share(a, b)
    const receiver = await call("/pay")
    expect([receiver.head?.status, receiver.text]).toEqual([200, "you asked for /pay"])
    expect(await a.ask({ kind: "links" })).toMatchObject({
      rows: [{ peer: b.peer, state: "up", exchanges: 0 }]
    })
    expect(await a.ask({ kind: "services" })).toMatchObject({
      rows: [{ service: "payments", requests: 1, successes: 1 }]
    })
    expect(await a.ask({ kind: "endpoints", service: payments })).toMatchObject({
      rows: [{ peer: b.peer, requests: 1, failures: 0, linked: true }]
    })
    expect(await a.ask({ kind: "totals" })).toEqual({
      kind: "totals",
      links: 1,
      totals: new Map([
        ["payments", 1],
        [`${b.peer}/0`, 1]
      ])
    })
  })

  it("carry what comes to a port of one", async () => {
    const { a, b } = await pair()
    share(a, b)
    const client = new RawClient(await a.listen({ ...loopback, kind: "proxy" }))
    closing.push(() => client.socket.destroy())
    client.send("GET http://payments.mesh/from-outside HTTP/1.1\r\nhost: payments.mesh\r\n\r\n")
    await client.receives(/you asked for \/from-outside/)
  })

  it("let through whom access rules allow, and end what they no longer do, over the link", async () => {
    const { a, b, call, hold } = await pair()
    share(a, b)
    const { receiver, response } = await hold()
    const allow = [
      {
        from: [{ kind: "host" as const, name: a.node, open: false }],
        path: [{ segments: ["pay"], open: false }]
      }
    ]
    const only = { name: "only", mode: "enforce" as const, services: ["payments"], deny: [] }
    b.tell({ type: "access", settings: [{ ...only, allow }] })
    await receiver.done
    expect(receiver.fault).toMatchObject({ code: "denied", node: b.node, sent: true })
    expect((await call("/pay")).text).toBe("you asked for /pay")
    const { fault } = await call("/refund")
    expect(fault).toMatchObject({ code: "denied", node: b.node, sent: false })
    expect(fault?.message).toBe(
      `host/${a.node} may not GET /refund of payments: no rule allows it, and only names payments`
    )
    b.tell({ type: "access", settings: [] })
    expect((await call("/refund")).text).toBe("you asked for /refund")
    expect(response.destroyed).toBe(true)
  })

  it("tell what is in flight, on both sides", async () => {
    const { a, b, hold } = await pair()
    share(a, b)
    const { receiver, response } = await hold()
    expect(await a.ask({ kind: "load" })).toMatchObject({
      load: { index: 0, outbound: 1, inbound: 0, serving: 0 }
    })
    expect(await b.ask({ kind: "load" })).toMatchObject({
      load: { outbound: 0, inbound: 1, serving: 1, sockets: 1 }
    })
    response.end("done")
    await receiver.done
    expect(receiver.text).toBe("done")
    expect(await a.ask({ kind: "load" })).toMatchObject({ load: { outbound: 0 } })
  })
})

describe("without a session", () => {
  it("a call waits for the one that the mesh thread is asked for, once for all calls", async () => {
    const { a, b, call } = await pair()
    const calls = Promise.all([call("/one"), call("/two")])
    expect(await a.says("session.need")).toEqual({ type: "session.need", peer: b.peer })
    share(a, b)
    expect((await calls).map(({ text }) => text)).toEqual([
      "you asked for /one",
      "you asked for /two"
    ])
    expect(a.of("session.need")).toHaveLength(1)
  })

  it("none is replaced that nobody uses, and those in use are told again and again", async () => {
    const { a, b, call, minutes } = await pair()
    const later = () => {
      for (const fire of minutes.splice(0)) fire()
    }
    share(a, b)
    later()
    await call("/one")
    expect(a.of("sessions.used")).toEqual([])
    later()
    expect(await a.says("sessions.used")).toEqual({ type: "sessions.used", peers: [b.peer] })
    later()
    await a.until(() => a.of("sessions.used").length === 2)
  })

  it("a call fails with what the mesh thread says, as unsent", async () => {
    const { a, b, call } = await pair()
    const calling = call("/pay")
    await a.says("session.need")
    a.tell({ type: "session.none", peer: b.peer, reason: "its certificate has ended" })
    expect((await calling).fault).toMatchObject({
      code: "upstream_connect",
      sent: false,
      message: expect.stringContaining("its certificate has ended")
    })
  })

  it("that the other knows, as after its restart, another is asked for and the call goes on", async () => {
    const { a, b, call } = await pair()
    share(a, b, false)
    const calling = call("/again")
    await a.says("session.need")
    share(a, b)
    expect((await calling).text).toBe("you asked for /again")
  })
})

describe("a session that is ended", () => {
  for (const [side, end] of [
    ["by the caller", (a: PlaneHost, b: PlaneHost) => void endSession(a, b)],
    ["by the one that is called", (a: PlaneHost, b: PlaneHost) => void endSession(b, a)]
  ] as const) {
    it(`${side} ends its links, and the calls on them`, async () => {
      const { a, b, hold, program } = await pair()
      share(a, b)
      const { receiver } = await hold()
      end(a, b)
      await receiver.done
      expect(receiver.fault).toMatchObject({ code: "upstream_reset", sent: true })
      if (side === "by the caller") {
        expect(receiver.fault?.message).toContain("it has left the mesh")
      }
      // The program is told as well: nobody waits for its answer.
      while (program.sockets.size > 0) await turn()
      expect(await b.ask({ kind: "load" })).toMatchObject({ load: { inbound: 0, serving: 0 } })
    })
  }

  it("is not used again: calls fail at once until there is a new one", async () => {
    const { a, b, call } = await pair()
    share(a, b)
    await call("/one")
    endSession(a, b)
    endSession(b, a)
    await a.ask({ kind: "load" })
    expect((await call("/two")).fault).toMatchObject({
      ...{ code: "upstream_connect", sent: false },
      message: expect.stringContaining("it has left the mesh")
    })
    // Whoever calls has it tried again, and is not kept waiting.
    while (a.of("session.need").length === 0) {
      await call("/knock")
      await turn()
    }
    share(a, b)
    let last = await call("/three")
    while (last.fault !== undefined) {
      await turn()
      last = await call("/three")
    }
    expect(last.text).toBe("you asked for /three")
  })
})

describe("a node that drains", () => {
  it("takes nothing new, and says when all that ran is answered", async () => {
    const { a, b, call, hold } = await pair()
    share(a, b)
    const { receiver, response } = await hold()
    b.tell({ type: "drain", reason: "it is time" })
    await b.ask({ kind: "load" })
    expect(b.of("served")).toEqual([])
    expect((await call("/late")).fault).toMatchObject({ sent: false })
    response.end("done")
    await receiver.done
    expect(receiver.text).toBe("done")
    await b.says("served")
  })

  it("without anything in flight says so at once", async () => {
    const { b } = await pair()
    b.tell({ type: "drain", reason: "it is time" })
    await b.says("served")
  })
})

describe("a plane that is stopped", () => {
  it("ends what runs, gives its ports free and hears nothing more", async () => {
    const { a, b, port, hold } = await pair()
    share(a, b)
    const { receiver } = await hold()
    b.tell({ type: "stop" }).tell({ type: "sample", share: 1 })
    await b.until(() => b.gone)
    await receiver.done
    expect(receiver.fault).toBeDefined()
    const server = net.createServer()
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject)
      server.listen(port, "127.0.0.1", resolve)
    })
    await new Promise((resolve) => server.close(resolve))
  })
})

describe("what a plane was told", () => {
  it("of a service that is not in the view is in the fault", async () => {
    const { a, call } = await pair()
    a.tell({
      type: "view",
      change: { version: 2, since: 1, services: [], gone: [payments] }
    })
    a.tell({ type: "missing", service: payments, reason: "host-b's certificate does not grant it" })
    await a.ask({ kind: "load" })
    expect((await call("/pay")).fault?.message).toContain("host-b's certificate does not grant it")
    a.tell({ type: "missing", service: payments, reason: undefined })
    await a.ask({ kind: "load" })
    expect((await call("/pay")).fault?.message).not.toContain("certificate")
    // Of a node that is out, whatever is asked for.
    a.tell({ type: "out", reason: "host-a was thrown out of the mesh" })
    await a.ask({ kind: "load" })
    expect((await call("/pay")).fault?.message).toMatch(/: host-a was thrown out of the mesh$/)
    a.tell({ type: "out", reason: undefined })
    await a.ask({ kind: "load" })
    expect((await call("/pay")).fault?.message).not.toContain("thrown out")
  })
})

describe("a connection to the node's port that asks for a handshake of libp2p's", () => {
  it("goes to the mesh thread, byte for byte", async () => {
    const { b, port } = await pair()
    const client = new RawClient(port)
    closing.push(() => client.socket.destroy())
    const asking = "\x13/multistream/1.0.0\n\x0f/skein/noise/3\n"
    client.send(asking)
    expect((await b.says("relay.open")).listener).toBe(1)
    const { id, bytes } = await b.says("relay.data")
    expect(Buffer.from(bytes).toString()).toBe(asking)
    b.tell({ type: "relay.data", id, bytes: Buffer.from("well met") })
    await client.receives(/well met/)
    b.tell({ type: "relay.end", id })
    await client.end()
    expect((await b.says("relay.closed")).reason).toBeUndefined()
  })
})

const endSession = (host: PlaneHost, other: PlaneHost): PlaneHost =>
  host.tell({ type: "session.end", peer: other.peer, reason: "it has left the mesh" })
