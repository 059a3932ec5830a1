import { createServer } from "node:http"
import { type AddressInfo, connect } from "node:net"
import { afterEach, describe, expect, it } from "vitest"
import { limitArrival, ownLimits } from "./ArrivalLimit.ts"

const patience = 100

describe("a request that does not arrive", () => {
  const closers: Array<() => void> = []
  afterEach(() => {
    for (const close of closers.splice(0)) close()
  })

  const listen = async (answerAfter = 0) => {
    const server = createServer(ownLimits, (request, response) => {
      request.resume()
      setTimeout(() => response.end("answered"), answerAfter)
    })
    server.keepAliveTimeout = patience
    // As the platform's does.
    server.on("upgrade", (_, socket) => socket.end("upgraded"))
    limitArrival(server, patience)
    closers.push(() => server.close().closeAllConnections())
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done))
    return server.address() as AddressInfo // it listens at a port
  }

  /** All that the server says to what is sent in these pieces, each after a multiple of 80 ms, until it hangs up. */
  const say = async ({ port }: AddressInfo, pieces: ReadonlyArray<string>) => {
    const began = performance.now()
    const socket = connect(port, "127.0.0.1")
    closers.push(() => socket.destroy())
    socket.on("error", () => undefined)
    pieces.forEach((piece, at) => {
      setTimeout(() => {
        if (!socket.destroyed) socket.write(piece)
      }, at * 80)
    })
    let heard = ""
    socket.on("data", (bytes) => {
      heard += bytes.toString()
    })
    await new Promise<void>((done) => socket.once("close", () => done()))
    return { heard, took: performance.now() - began }
  }

  it.each([
    ["nothing", []],
    ["a head", ["GET / HTTP/1.1\r\n", "host: a\r\n", "x: 1\r\n", "y: 1\r\n", "z: 1\r\n"]],
    [
      "a body",
      ["POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n", "a", "b", "c", "d", "e", "f"]
    ]
  ])("whole: %s is given up, though a bit of it comes all the time", async (_, pieces) => {
    const address = await listen(5_000)
    const { heard, took } = await say(address, pieces)
    expect(heard).toMatch(/^HTTP\/1\.1 408 /)
    expect(took).toBeGreaterThanOrEqual(patience - 5)
  })

  it("keeps no answer from who is waited for", async () => {
    const address = await listen(3 * patience)
    const { heard } = await say(address, ["GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"])
    expect(heard).toMatch(/^HTTP\/1\.1 200 /)
    expect(heard).toContain("answered")
  })

  it("keeps no answer from who offers another protocol", async () => {
    const address = await listen(3 * patience)
    const { heard } = await say(address, [
      "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade, close\r\nupgrade: h2c\r\n\r\n"
    ])
    expect(heard).toMatch(/^HTTP\/1\.1 200 /)
    expect(heard).toContain("answered")
  })

  it("counts anew on a connection that is used again", async () => {
    const address = await listen()
    const whole = "GET / HTTP/1.1\r\nhost: a\r\n\r\n"
    const dripping = [
      "GET / HTTP/1.1\r\n",
      "host: a\r\n",
      "x: 1\r\n",
      "y: 1\r\n",
      "z: 1\r\n",
      "q: 1\r\n"
    ]
    const { heard } = await say(address, [whole, whole, ...dripping])
    expect(heard.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 200", "HTTP/1.1 200", "HTTP/1.1 408"])
  })
})
