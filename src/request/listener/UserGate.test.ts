import { once } from "node:events"
import net from "node:net"
import { afterEach, describe, expect, it } from "vitest"
import { ManualTicker } from "../../testing/LinkTestPair.ts"
import { SocketOwners } from "../socket/SocketOwners.ts"
import { UserGate } from "./UserGate.ts"

const closing: Array<() => void> = []
afterEach(() => {
  for (const close of closing.splice(0).reverse()) close()
})

/** A gate whose system answers when the test says so. */
const make = async () => {
  const ticker = new ManualTicker()
  const answers: Array<{
    readonly say: (tables: ReadonlyArray<Buffer>) => void
    readonly fail: () => void
  }> = []
  const owners = new SocketOwners(
    () =>
      new Promise((say, reject) => answers.push({ say, fail: () => reject(new Error("no /proc")) }))
  )
  const said: Array<string> = []
  const gate = new UserGate({
    ...{ uid: 7, ticker, owners },
    onAdmitted: () => said.push("admitted"),
    onStranger: (_, uid) => said.push(`stranger ${uid}`),
    onGone: (error) => said.push(`gone ${error?.message ?? ""}`.trim())
  })
  const server = net.createServer({ pauseOnConnect: true })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  closing.push(() => server.close())
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("no port")
  const connect = async (): Promise<net.Socket> => {
    const client = net.connect(address.port, "127.0.0.1")
    client.on("error", () => undefined)
    closing.push(() => client.destroy())
    const [socket] = (await once(server, "connection")) as [net.Socket]
    closing.push(() => socket.destroy())
    return socket
  }
  return { ticker, answers, said, gate, connect }
}

const settled = () => new Promise((resolve) => setImmediate(resolve))

describe("a gate for one user", () => {
  it("closes who is not told of in time, and does not let it in afterwards", async () => {
    const { answers, connect, gate, said, ticker } = await make()
    const socket = await connect()
    gate.take(socket)
    expect(gate.waiting).toBe(1)
    ticker.advance(5_100)
    expect(said).toEqual(["gone the system has not said within 5000 ms whose it is"])
    expect([gate.waiting, socket.destroyed]).toEqual([0, true])
    answers[0]?.say([])
    await settled()
    expect(said).toHaveLength(1)
  })

  it("lets nobody in when the system cannot be asked", async () => {
    const { answers, connect, gate, said } = await make()
    const socket = await connect()
    gate.take(socket)
    answers[0]?.fail()
    await settled()
    expect([said, socket.destroyed]).toEqual([["gone no /proc"], true])
  })

  it("tells of whom it cannot be told whose it is", async () => {
    const { answers, connect, gate, said } = await make()
    const socket = await connect()
    gate.take(socket)
    answers[0]?.say([])
    await settled()
    expect([said, gate.waiting, socket.destroyed]).toEqual([["stranger undefined"], 0, false])
  })

  it("closes those that wait with it, each once", async () => {
    const { answers, connect, gate, said } = await make()
    const sockets = [await connect(), await connect()]
    for (const socket of sockets) gate.take(socket)
    gate.close()
    expect(said).toEqual(["gone", "gone"])
    expect(sockets.every(({ destroyed }) => destroyed)).toBe(true)
    answers[0]?.say([])
    await settled()
    expect(said).toHaveLength(2)
  })

  it("forgets who has gone away meanwhile", async () => {
    const { connect, gate, said } = await make()
    const socket = await connect()
    gate.take(socket)
    socket.destroy()
    await once(socket, "close")
    expect([said, gate.waiting]).toEqual([["gone"], 0])
  })
})
