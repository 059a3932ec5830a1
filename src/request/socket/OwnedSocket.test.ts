import net from "node:net"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { ownSocket, type SocketOwner } from "./OwnedSocket.ts"

/** Writes down what it is told, and throws at what it is asked to. */
class Recorder implements SocketOwner {
  readonly told: Array<string> = []
  readonly failed: Array<unknown> = []
  throwsAt = ""
  socket: net.Socket | undefined
  onBytes(bytes: Buffer): void {
    this.#hear(`bytes ${bytes.toString("latin1")}`)
  }
  onDrain(): void {
    this.#hear("drain")
  }
  onSocketEnd(): void {
    this.#hear("end")
    this.socket?.end()
  }
  onSocketFinish(): void {
    this.#hear("finish")
  }
  onSocketClose(): void {
    this.#hear("close")
  }
  onFailed(error: unknown): void {
    this.failed.push(error)
    this.socket?.destroy()
  }
  #hear(what: string): void {
    this.told.push(what)
    if (what === this.throwsAt) throw new Error(what)
  }
}

describe("ownSocket", () => {
  let server: net.Server
  let owner: Recorder
  const others: Array<Recorder> = []
  /** The next connection is the recorder's. */
  const connect = async (next: Recorder): Promise<net.Socket> => {
    owner = next
    const address = server.address()
    if (address === null || typeof address === "string") throw new Error("no port")
    const client = net.connect({ port: address.port, host: "127.0.0.1" })
    client.on("error", () => undefined)
    await new Promise((resolve) => client.once("connect", resolve))
    return client
  }
  const closed = (client: net.Socket): Promise<void> =>
    new Promise((resolve) => client.once("close", () => resolve()).resume())
  const until = async (condition: () => boolean): Promise<void> => {
    while (!condition()) await new Promise((resolve) => setImmediate(resolve))
  }

  beforeEach(async () => {
    server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true })
    server.on("connection", (accepted) => {
      const mine = owner
      others.push(mine)
      mine.socket = ownSocket(accepted, mine)
    })
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  })

  afterEach(() => {
    for (const { socket } of others.splice(0)) socket?.destroy()
    server.close()
  })

  it("tells each owner of its own socket, from the first byte to the close", async () => {
    const [one, two] = [new Recorder(), new Recorder()]
    const first = await connect(one)
    await until(() => one.socket !== undefined)
    const second = await connect(two)
    first.end("a")
    second.end("b")
    await Promise.all([closed(first), closed(second)])
    await until(() => one.told.includes("close") && two.told.includes("close"))
    expect(one.told).toEqual(["bytes a", "end", "finish", "close"])
    expect(two.told).toEqual(["bytes b", "end", "finish", "close"])
  })

  it.each(["bytes a", "end", "finish", "close"])(
    "costs that socket what throws at %s",
    async (at) => {
      const [one, two] = [new Recorder(), new Recorder()]
      one.throwsAt = at
      const first = await connect(one)
      await until(() => one.socket !== undefined)
      const second = await connect(two)
      first.end("a")
      await closed(first)
      await until(() => one.told.includes("close"))
      expect(one.failed).toEqual([new Error(at)])
      second.end("b")
      await closed(second)
      await until(() => two.told.includes("close"))
      expect(two.told).toEqual(["bytes b", "end", "finish", "close"])
      expect(two.failed).toEqual([])
    }
  )

  it("is told no errors, which the close follows", async () => {
    const one = new Recorder()
    const client = await connect(one)
    await until(() => one.socket !== undefined)
    client.resetAndDestroy()
    await until(() => one.told.includes("close"))
    expect(one.told).toEqual(["close"])
    expect(one.failed).toEqual([])
  })
})
