import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { hostCaller } from "../../model/Caller.ts"
import { noFields } from "../../model/Exchange.ts"
import { NodeName } from "../../model/Names.ts"
import { payments, self } from "../../testing/InboundFixture.ts"
import { HoldingCallee, makeContext, RawClient, turn } from "../../testing/ListenerFixture.ts"
import { SocketBudget } from "../socket/SocketBudget.ts"
import { openTcpListener, type TcpListener } from "./TcpListener.ts"

let context: ReturnType<typeof makeContext>
let callee: HoldingCallee
let listener: TcpListener
const clients: Array<RawClient> = []

beforeEach(async () => {
  context = makeContext()
  callee = new HoldingCallee()
  listener = await context.open(
    openTcpListener({ ...context.base, dispatch: callee.dispatch, service: payments })
  )
})
afterEach(async () => {
  context.dispose()
  for (const client of clients.splice(0)) client.socket.destroy()
})

const connect = (): RawClient => {
  const client = new RawClient(listener.address.port)
  clients.push(client)
  return client
}

describe("TcpListener", () => {
  it("makes of each connection a call, before the client says anything", async () => {
    const client = connect()
    const held = await callee.next()
    expect(held.call).toEqual({
      kind: "tcp",
      service: payments,
      head: undefined,
      endpoint: undefined,
      caller: self.peer,
      identity: hostCaller(NodeName.make(self.node)),
      deadline: undefined,
      attempt: 0
    })
    held.receiver.onData(Buffer.from("220 ready"))
    await client.receives(/220 ready/)
  })

  it("carries on in one direction when the other has ended", async () => {
    const client = connect().send("all of it")
    client.socket.end()
    const held = await callee.next()
    await held.until(() => held.trailers !== undefined)
    expect(held.text).toBe("all of it")
    held.receiver.onData(Buffer.from("answer"))
    held.receiver.onEnd(noFields)
    await client.closed
    expect(client.text).toBe("answer")
    expect(client.error).toBeUndefined()
    expect(held.cancelled).toBeUndefined()
    while (listener.connections > 0) await turn()
    expect(context.ticker.timers).toBe(0)
  })

  it("resets a client that takes nothing for long, so that it takes no part for the whole", async () => {
    const client = connect()
    client.socket.pause()
    const held = await callee.next()
    client.socket.end()
    await held.until(() => held.trailers !== undefined)
    const size = 32 * 1024 * 1024
    held.receiver.onData(Buffer.alloc(size))
    held.receiver.onEnd(noFields)
    for (let waited = 0; waited < 61_000; waited += 1_000) {
      await turn()
      context.ticker.advance(1_000)
    }
    client.socket.resume()
    await client.closed
    if (client.bytes < size) expect(client.error).toMatchObject({ code: "ECONNRESET" })
  })

  it("closes its half when the service ends, and goes on with the client's", async () => {
    const client = connect()
    const held = await callee.next()
    held.receiver.onEnd(noFields)
    await client.end()
    client.send("more")
    await held.until(() => held.text === "more")
    expect(listener.connections).toBe(1)
    client.socket.end()
    await held.until(() => held.trailers !== undefined)
    while (listener.connections > 0) await turn()
    expect(held.cancelled).toBeUndefined()
  })

  it("gives up a client that takes nothing more once both halves have ended", async () => {
    const client = connect()
    client.socket.pause()
    const held = await callee.next()
    const size = 64 * 1024 * 1024
    held.receiver.onData(Buffer.alloc(size))
    held.receiver.onEnd(noFields)
    client.socket.end()
    await held.until(() => held.trailers !== undefined)
    for (let waited = 0; waited < 290_000; waited += 10_000) {
      context.ticker.advance(10_000)
      await turn()
    }
    expect(listener.connections).toBe(1)
    context.ticker.advance(31_000)
    while (listener.connections > 0) await turn()
    expect(client.bytes).toBeLessThan(size)
  })

  it("resets the client on a fault", async () => {
    const client = connect()
    const held = await callee.next()
    held.receiver.onData(Buffer.from("half"))
    await client.receives(/half/)
    held.receiver.onFault({
      code: "upstream_reset",
      message: "broke",
      node: "host-b",
      service: payments,
      sent: true
    })
    await client.closed
    expect(client.ended).toBe(false)
    expect(client.error).toMatchObject({ code: "ECONNRESET" })
  })

  it("cancels when the client resets", async () => {
    const client = connect().send("x")
    const held = await callee.next()
    await held.until(() => held.text === "x")
    client.socket.resetAndDestroy()
    await held.until(() => held.cancelled !== undefined)
    expect(held.cancelled).toMatchObject({ code: "client_gone", service: payments })
  })

  it("cancels when the client resets while it is not read", async () => {
    const client = connect()
    const held = await callee.next()
    held.accept = false
    client.socket.write(Buffer.alloc(8 * 1024 * 1024))
    await held.until(() => held.chunks.length > 0)
    context.ticker.advance(500)
    for (let i = 0; i < 200; i++) await turn()
    expect(held.cancelled).toBeUndefined()
    client.socket.resetAndDestroy()
    await client.closed
    context.ticker.advance(500)
    await held.until(() => held.cancelled !== undefined)
    expect(held.cancelled?.code).toBe("client_gone")
    while (listener.connections > 0) await turn()
    expect(context.ticker.timers).toBe(0)
  })

  it("stops reading while the callee says so", async () => {
    const size = 32 * 1024 * 1024
    const client = connect()
    const held = await callee.next()
    held.accept = false
    client.socket.end(Buffer.alloc(size))
    await held.until(() => held.chunks.length > 0)
    // A client that has ended its half has not gone.
    for (let second = 0; second < 5; second++) {
      for (let i = 0; i < 50; i++) await turn()
      context.ticker.advance(1_000)
    }
    const taken = () => held.chunks.reduce((sum, chunk) => sum + chunk.length, 0)
    expect(taken()).toBeLessThanOrEqual(64 * 1024)
    held.accept = true
    held.receiver.onWritable()
    await held.until(() => held.trailers !== undefined)
    expect(taken()).toBe(size)
  })

  it("drains: accepts nothing, waits for open tunnels, resets them at the deadline", async () => {
    const [polite, stubborn] = [connect(), connect()]
    const [first, second] = [await callee.next(), await callee.next()]
    const draining = listener.drain(50)
    const late = connect()
    await late.closed
    expect(late.error).toMatchObject({ code: "ECONNREFUSED" })
    first.receiver.onEnd(noFields)
    await polite.end()
    polite.socket.end()
    await polite.closed
    expect(second.cancelled).toBeUndefined()
    context.ticker.advance(50)
    await draining
    expect(second.cancelled?.code).toBe("draining")
    await Promise.all([polite.closed, stubborn.closed])
    while (listener.connections > 0) await turn()
  })

  it("ends a drain when it is closed, and can be drained after that", async () => {
    const client = connect()
    const held = await callee.next()
    const draining = listener.drain(10_000)
    listener.close()
    await Promise.all([draining, listener.drain(10_000), client.closed])
    expect(held.cancelled?.code).toBe("draining")
    expect(client.error).toMatchObject({ code: "ECONNRESET" })
  })
})

it("closes connections for which this node has no descriptor, and counts them", async () => {
  context.dispose()
  context = makeContext()
  callee = new HoldingCallee()
  const budget = new SocketBudget(2)
  const options = { ...context.base, dispatch: callee.dispatch, service: payments }
  listener = await context.open(openTcpListener({ ...options, sockets: budget.clients }))
  const first = connect()
  const held = await callee.next()
  const second = connect()
  await second.until(() => second.ended || second.error !== undefined)
  const refused = context.metrics.families.get("skein_listener_refused_total")?.cells.values() ?? []
  expect([...refused]).toMatchObject([{ labels: { reason: "descriptors" }, cell: { value: 1 } }])
  first.socket.resetAndDestroy()
  await held.until(() => held.cancelled !== undefined)
  while (budget.held > 0) await turn()
  connect().send("again")
  await (await callee.next()).until(() => callee.exchanges.at(-1)?.text === "again")
})

describe("what throws", () => {
  it.each(["dispatch", "write", "cancel"] as const)(
    "(%s) costs the connection it threw on",
    async (what) => {
      const defects: Array<unknown> = []
      const budget = new SocketBudget()
      const breaks = (): never => {
        throw new Error("thrown by the test")
      }
      listener = await context.open(
        openTcpListener({
          ...context.base,
          sockets: budget.clients,
          onDefect: (error, where) => defects.push([where, String(error)]),
          dispatch: (call, receiver) => {
            if (what === "dispatch") breaks()
            return Object.assign(callee.dispatch(call, receiver), { [what]: breaks })
          },
          service: payments
        })
      )
      for (const times of [1, 2]) {
        const client = connect().send("x")
        if (what === "cancel") {
          await callee.next()
          client.socket.resetAndDestroy()
        }
        while (listener.connections > 0 || defects.length < times) await turn()
      }
      expect(budget.held).toBe(0)
      const told = ["a connection of a TCP client", "Error: thrown by the test"]
      expect(defects.slice(0, 2)).toEqual([told, told])
    }
  )
})
