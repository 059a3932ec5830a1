import net from "node:net"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { LoopTicker } from "../LoopTicker.ts"
import { SocketReads } from "../socket/SocketReads.ts"
import { PlainChannel } from "./PlainChannel.ts"

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await turn()
}

interface Side {
  readonly socket: net.Socket
  readonly reads: SocketReads
}

/** One end, and what it was told. */
class End {
  readonly channel: PlainChannel
  heard = Buffer.alloc(0)
  readonly chunks: Array<Uint8Array> = []
  drains = 0
  closed: { readonly cause: Error | undefined } | undefined
  over = false
  constructor(side: Side, first = Buffer.alloc(0)) {
    this.channel = new PlainChannel({
      ...{ ...side, first, ticker },
      onClosed: () => {
        this.over = true
      }
    })
  }
  listen(): this {
    this.channel.events = {
      onData: (bytes) => {
        this.chunks.push(bytes)
        this.heard = Buffer.concat([this.heard, bytes])
      },
      onDrain: () => {
        this.drains++
      },
      onClose: (cause) => {
        this.closed = { cause }
      }
    }
    return this
  }
}

const ticker = new LoopTicker()
let server: net.Server
let ours: Side
let theirs: Side
beforeEach(async () => {
  const { promise, resolve } = Promise.withResolvers<net.Socket>()
  server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, resolve)
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("no port")
  const [near, far] = [new SocketReads(), new SocketReads()]
  const place = { port: address.port, host: "127.0.0.1" }
  ours = { reads: near, socket: near.connect({ ...place, allowHalfOpen: true }) }
  theirs = { reads: far, socket: far.accept(await promise) }
})
afterEach(async () => {
  ours.socket.destroy()
  theirs.socket.destroy()
  await new Promise<void>((closed) => server.close(() => closed()))
})

describe("a plain channel", () => {
  it("hands on what came before it was made, first, and then the rest", async () => {
    const [a, b] = [new End(ours).listen(), new End(theirs, Buffer.from("first "))]
    a.channel.write(Buffer.from("then"))
    await turn()
    expect(b.heard.toString()).toBe("")
    b.listen()
    expect(b.heard.toString()).toBe("")
    await until(() => b.heard.length === 10)
    expect(b.heard.toString()).toBe("first then")
  })

  it("hands on what may be kept, though all sockets are read into the same memory", async () => {
    const [a, b] = [new End(ours).listen(), new End(theirs).listen()]
    const large = Buffer.alloc(20_000, "l")
    for (const [i, said] of ["small", large.toString(), "other", "again"].entries()) {
      a.channel.write(Buffer.from(said))
      b.channel.write(Buffer.from("noise"))
      await until(() => b.chunks.length > i && b.heard.toString().endsWith(said))
    }
    expect(Buffer.concat(b.chunks).toString()).toBe(`small${large}otheragain`)
  })

  it("stops its writer while it is paused, and loses nothing", async () => {
    const [a, b] = [new End(ours).listen(), new End(theirs).listen()]
    b.channel.pause()
    const chunk = Buffer.alloc(64 * 1024, "x")
    let written = 0
    while (a.channel.write(chunk) || written < 2_000_000) {
      written += chunk.length
      await turn()
    }
    written += chunk.length
    expect(b.heard.length).toBe(0)
    b.channel.resume()
    await until(() => b.heard.length === written)
    await until(() => a.drains > 0)
  })

  it("closes by agreement when one end says so, with all that was written", async () => {
    const [a, b] = [new End(ours).listen(), new End(theirs).listen()]
    const whole = Buffer.alloc(3_000_000, "y")
    a.channel.write(whole)
    a.channel.close()
    expect(a.channel.write(Buffer.from("late"))).toBe(true)
    await until(() => a.closed !== undefined && b.closed !== undefined)
    expect(b.heard.equals(whole)).toBe(true)
    expect(a.closed).toEqual({ cause: undefined })
    // Who has not closed cannot know that it was meant.
    expect(b.closed?.cause?.message).toBe("the other end closed the connection")
    expect([a.over, b.over]).toEqual([true, true])
  })

  it("breaks at once, for both ends", async () => {
    const [a, b] = [new End(ours).listen(), new End(theirs).listen()]
    await turn()
    const cause = new Error("enough")
    a.channel.abort(cause)
    expect(a.closed).toEqual({ cause })
    await until(() => b.closed !== undefined)
    expect(b.closed?.cause).toBeInstanceOf(Error)
  })
})
