import net from "node:net"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { isReset, outliveWrites } from "./FailedWrites.ts"
import { SocketReads } from "./SocketReads.ts"

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await turn()
}

/** Our end of a connection, and what it was told. While paused, nothing at all is read. */
class Ours {
  readonly socket: net.Socket
  text = ""
  gone: Error | undefined
  times = 0
  ended = false
  error: Error | undefined
  closed = false
  constructor(port: number) {
    const reads = new SocketReads()
    const socket = reads.connect({ port, host: "127.0.0.1", allowHalfOpen: true })
    this.socket = socket
    reads.onBytes = (bytes) => {
      this.text += bytes.toString("latin1")
    }
    outliveWrites(socket, (error) => {
      this.times++
      this.gone = error
    })
    socket.on("end", () => {
      this.ended = true
    })
    socket.on("error", (error) => {
      this.error = error
    })
    socket.on("close", () => {
      this.closed = true
    })
  }
  /** Writes until that fails. */
  async writeOn(): Promise<void> {
    while (this.gone === undefined && !this.closed) {
      this.socket.write("x".repeat(1_000))
      await turn()
    }
  }
}

let server: net.Server
let program: net.Socket
let ours: Ours
beforeEach(async () => {
  const { promise, resolve } = Promise.withResolvers<net.Socket>()
  server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    socket.on("error", () => undefined)
    resolve(socket)
  })
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("no port")
  ours = new Ours(address.port)
  program = await promise
  await until(() => !ours.socket.connecting)
})
afterEach(async () => {
  ours.socket.destroy()
  program.destroy()
  await new Promise<void>((closed) => server.close(() => closed()))
})

describe("a socket that outlives its writes", () => {
  it("reads what was said before a close with unread bytes, then the end", async () => {
    ours.socket.pause()
    ours.socket.write("never read")
    program.write("y".repeat(30_000), () => program.destroy())
    await until(() => program.closed)
    await ours.writeOn()
    expect(ours.times).toBe(1)
    expect(ours.gone).toMatchObject({ code: expect.stringMatching(/^(ECONNRESET|EPIPE)$/) })
    for (let i = 0; i < 20; i++) ours.socket.write("dropped")
    expect(ours.text).toBe("")
    ours.socket.resume()
    await until(() => ours.ended || ours.closed)
    expect(ours.text).toBe("y".repeat(30_000))
    expect(ours.times).toBe(1)
  })

  it("tells a reset from an end, whoever is told", async () => {
    ours.socket.pause()
    program.resetAndDestroy()
    await until(() => program.closed)
    await ours.writeOn()
    expect(ours.gone !== undefined && isReset(ours.gone)).toBe(true)
    ours.socket.resume()
    await until(() => ours.ended || ours.closed)
    expect(ours.text).toBe("")
  })

  it("takes a write after the other side's FIN and close for no reset", async () => {
    ours.socket.pause()
    program.end("bye", () => program.destroy())
    await until(() => program.closed)
    await ours.writeOn()
    expect(ours.gone !== undefined && isReset(ours.gone)).toBe(false)
    ours.socket.resume()
    await until(() => ours.ended)
    expect(ours.text).toBe("bye")
    expect(ours.error).toBeUndefined()
  })

  it("keeps every other error", async () => {
    ours.socket.destroy(new Error("no more"))
    await until(() => ours.closed)
    expect(ours.error).toMatchObject({ message: "no more" })
    expect(ours.gone).toBeUndefined()
  })
})
