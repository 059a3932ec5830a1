import { randomBytes } from "node:crypto"
import { once } from "node:events"
import net from "node:net"
import { afterEach, describe, expect, it, vi } from "@effect/vitest"
import { NodeName, PeerKey } from "../../model/Names.ts"
import { maxRecordBytes, RecordSealer } from "../../model/RecordCipher.ts"
import type { Session } from "../../model/Session.ts"
import { ManualTicker } from "../../testing/LinkTestPair.ts"
import { SocketReads } from "../socket/SocketReads.ts"
import { unsentPatience } from "../socket/Unsent.ts"
import { prefaceVersion } from "../wire/LinkPreface.ts"
import { closeTimeout, recordKinds, SealedChannel } from "./SealedChannel.ts"

const eventually = (condition: () => void) => vi.waitFor(condition, { timeout: 5_000, interval: 1 })

const session: Session = {
  id: "00".repeat(16),
  secret: randomBytes(32),
  peer: PeerKey.make("12D3KooWBobBobBobBobBobBobBobBobBobBobBobBobBobBobBo"),
  peerName: NodeName.make("host-b"),
  until: Number.POSITIVE_INFINITY,
  facts: { services: [], speaks: [] }
}

const closers: Array<() => void> = []
afterEach(() => {
  for (const close of closers.splice(0).reverse()) close()
})

/** Two ends of a TCP connection on loopback, read by SocketReads. */
const sockets = async () => {
  const reads = { near: new SocketReads(), far: new SocketReads() }
  const server = net.createServer({ pauseOnConnect: true, noDelay: true })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("no port")
  const near = reads.near.connect({ host: "127.0.0.1", port: address.port, noDelay: true })
  const [[accepted]] = await Promise.all([once(server, "connection"), once(near, "connect")])
  const far = reads.far.accept(accepted)
  closers.push(() => {
    near.destroy()
    far.destroy()
    server.close()
  })
  return { near, far, reads }
}

/** What a channel's owner was told; keeps what may be kept. */
class Owner {
  chunks: Array<Buffer> = []
  bytes = 0
  drains = 0
  closed: string | undefined = undefined
  cause: Error | undefined = undefined
  /** Told with every chunk, while it is told. */
  onChunk: () => void = () => undefined

  constructor(channel: SealedChannel) {
    channel.events = {
      onData: (bytes) => {
        this.#notClosed()
        this.bytes += bytes.length
        if (this.bytes < 1_000_000) this.chunks.push(Buffer.from(bytes))
        this.onChunk()
      },
      onDrain: () => {
        this.#notClosed()
        this.drains++
      },
      onClose: (cause) => {
        this.#notClosed()
        this.closed = cause?.message ?? "in order"
        this.cause = cause
      }
    }
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString("latin1")
  }

  #notClosed(): void {
    if (this.closed !== undefined) throw new Error("told after the end")
  }
}

const keysOf = () => {
  const [forth, back] = [randomBytes(32), randomBytes(32)]
  return { near: { send: forth, receive: back }, far: { send: back, receive: forth } }
}

/** The dialler's end only; the test speaks for the acceptor, or for the dialler. */
const pair = async () => {
  const { near, far, reads } = await sockets()
  const keys = keysOf()
  const ticker = new ManualTicker()
  const over: Array<SealedChannel> = []
  const onClosed = (channel: SealedChannel) => over.push(channel)
  const common = { session, ticker, onClosed }
  let farOwner: Owner | undefined
  const accepted = new SealedChannel({
    version: prefaceVersion,
    ...common,
    socket: far,
    reads: reads.far,
    side: "acceptor",
    keys: keys.far,
    onHello: (channel) => {
      farOwner = new Owner(channel)
    }
  })
  const dialled = new SealedChannel({
    version: prefaceVersion,
    ...common,
    socket: near,
    reads: reads.near,
    side: "dialler",
    keys: keys.near
  })
  const nearOwner = new Owner(dialled)
  await eventually(() => expect(farOwner).toBeDefined())
  return {
    ticker,
    over,
    near: { channel: dialled, owner: nearOwner, socket: near },
    far: { channel: accepted, owner: farOwner!, socket: far }
  }
}

/** An acceptor alone, fed by hand. */
const acceptor = async () => {
  const { near, far, reads } = await sockets()
  const keys = keysOf()
  let heard = 0
  let over = 0
  const channel = new SealedChannel({
    version: prefaceVersion,
    socket: far,
    reads: reads.far,
    side: "acceptor",
    keys: keys.far,
    session,
    ticker: new ManualTicker(),
    onHello: () => {
      heard++
    },
    onClosed: () => {
      over++
    }
  })
  near.on("error", () => undefined)
  return {
    near,
    channel,
    sealer: new RecordSealer(keys.near.send),
    heard: () => heard,
    over: () => over
  }
}

describe("a sealed channel", () => {
  it("carries what is written, both ways, in order, whatever its size", async () => {
    const { near, far } = await pair()
    const large = randomBytes(3 * maxRecordBytes + 17)
    near.channel.write(Buffer.from("a"))
    near.channel.write(large)
    near.channel.write(Buffer.from("b"))
    far.channel.write(Buffer.from("back"))
    await eventually(() => {
      expect(far.owner.bytes).toBe(large.length + 2)
      expect(near.owner.text).toBe("back")
    })
    const got = Buffer.concat(far.owner.chunks)
    expect(got.equals(Buffer.concat([Buffer.from("a"), large, Buffer.from("b")]))).toBe(true)
  })

  it("carries what lies in several places, whatever its size, and has its own copy of it", async () => {
    const { near, far } = await pair()
    const sizes = [1, 0, 50_000, maxRecordBytes, 3, 2 * maxRecordBytes + 9, maxRecordBytes - 1, 7]
    const parts = sizes.map((size) => randomBytes(size))
    const whole = Buffer.concat(parts)
    near.channel.writeParts(parts)
    for (const part of parts) part.fill(0)
    near.channel.write(Buffer.from("b"))
    await eventually(() => expect(far.owner.bytes).toBe(whole.length + 1))
    expect(Buffer.concat(far.owner.chunks).equals(Buffer.concat([whole, Buffer.from("b")]))).toBe(
      true
    )
  })

  it("has its own copy of what is written", async () => {
    const { near, far } = await pair()
    const memory = Buffer.alloc(100_000, "x")
    near.channel.write(memory)
    memory.fill("y")
    await eventually(() => expect(far.owner.bytes).toBe(memory.length))
    expect(far.owner.text).toBe("x".repeat(memory.length))
  })

  it("holds a writer back while the reader is paused, in bounded memory, and loses nothing", async () => {
    const { near, far } = await pair()
    far.channel.pause()
    const chunk = Buffer.alloc(60 * 1024, "x")
    let written = 0
    let room = true
    while (room) {
      room = near.channel.write(chunk)
      written += chunk.length
      await new Promise(setImmediate)
    }
    // The socket's own buffer and one write beyond it.
    expect(near.socket.writableLength).toBeLessThan(3 * chunk.length)
    await new Promise(setImmediate)
    expect(far.owner.bytes).toBe(0)
    expect(near.owner.drains).toBe(0)
    far.channel.resume()
    await eventually(() => expect(far.owner.bytes).toBe(written))
    await eventually(() => expect(near.owner.drains).toBe(1))
  })

  it("tells nothing to who has paused, not even the rest of a read, and then all of it in order", async () => {
    const { near, far } = await pair()
    far.owner.onChunk = () => far.channel.pause()
    const sent = Array.from({ length: 50 }, (_, i) => `${i},`)
    near.socket.cork()
    for (const text of sent) near.channel.write(Buffer.from(text))
    near.socket.uncork()
    await eventually(() => expect(far.owner.text).toBe("0,"))
    await new Promise(setImmediate)
    expect(far.owner.text).toBe("0,")
    for (let i = 1; i < sent.length; i++) {
      far.channel.resume()
      await eventually(() => expect(far.owner.chunks).toHaveLength(i + 1))
    }
    expect(far.owner.text).toBe(sent.join(""))
  })

  it("may be resumed by who is just being told", async () => {
    const { near, far } = await pair()
    far.owner.onChunk = () => {
      far.channel.pause()
      far.channel.resume()
    }
    near.socket.cork()
    for (let i = 0; i < 20; i++) near.channel.write(Buffer.from(`${i},`))
    near.channel.close()
    near.socket.uncork()
    await eventually(() => expect(far.owner.closed).toBe("in order"))
    expect(far.owner.text).toBe(Array.from({ length: 20 }, (_, i) => `${i},`).join(""))
  })

  it("keeps what comes before it has an owner", async () => {
    const { near, far, reads } = await sockets()
    const keys = keysOf()
    const ticker = new ManualTicker()
    const common = { session, ticker, onClosed: () => undefined }
    const accepted = new SealedChannel({
      version: prefaceVersion,
      ...common,
      socket: far,
      reads: reads.far,
      side: "acceptor",
      keys: keys.far,
      onHello: (channel) => {
        new Owner(channel)
        channel.write(Buffer.from("early"))
        channel.close()
      }
    })
    const dialled = new SealedChannel({
      version: prefaceVersion,
      ...common,
      socket: near,
      reads: reads.near,
      side: "dialler",
      keys: keys.near
    })
    await eventually(() => expect(near.isPaused()).toBe(true))
    const owner = new Owner(dialled)
    await eventually(() => expect(owner.closed).toBe("in order"))
    expect(owner.text).toBe("early")
    expect(accepted.events).toBeUndefined()
  })

  it("closes for both sides, after what was written, and leaves no socket", async () => {
    const { near, far, over } = await pair()
    near.channel.write(Buffer.alloc(500_000, "z"))
    near.channel.close()
    expect(near.owner.closed).toBeUndefined()
    await eventually(() => {
      expect(far.owner.closed).toBe("in order")
      expect(near.owner.closed).toBe("in order")
    })
    expect(far.owner.bytes).toBe(500_000)
    await eventually(() => {
      expect(near.socket.destroyed).toBe(true)
      expect(far.socket.destroyed).toBe(true)
    })
    expect(over).toHaveLength(2)
  })

  it("hands on what the other side wrote before it heard of the close", async () => {
    const { near, far } = await pair()
    far.channel.write(Buffer.alloc(300_000, "a"))
    near.channel.close()
    far.channel.write(Buffer.alloc(300_000, "b"))
    await eventually(() => expect(near.owner.closed).toBe("in order"))
    expect(near.owner.bytes).toBe(600_000)
    expect(far.owner.closed).toBe("in order")
  })

  it("closes when both sides close at once", async () => {
    const { near, far } = await pair()
    near.channel.close()
    far.channel.close()
    await eventually(() => {
      expect(far.owner.closed).toBe("in order")
      expect(near.owner.closed).toBe("in order")
    })
  })

  it("does not wait for ever for the other side's close", async () => {
    const { near, far, ticker } = await pair()
    far.channel.pause()
    near.channel.close()
    ticker.advance(closeTimeout - 100)
    expect(near.owner.closed).toBeUndefined()
    ticker.advance(200)
    expect(near.owner.closed).toBe("the peer has not closed its end of the link within 5000 ms")
    far.channel.resume()
    await eventually(() => expect(far.owner.closed).toBeDefined())
  })

  it("waits with its close for who takes what is written, however slowly", async () => {
    const { near, far, ticker } = await pair()
    far.channel.pause()
    let written = 0
    while (written < 16 * 1024 * 1024) {
      near.channel.write(Buffer.alloc(60 * 1024))
      written += 60 * 1024
    }
    near.channel.close()
    const begun = near.socket.writableLength
    expect(begun).toBeGreaterThan(0)
    while (near.socket.writableLength > 0) {
      const before = near.socket.writableLength
      far.channel.resume()
      await eventually(() => expect(near.socket.writableLength).toBeLessThan(before))
      far.channel.pause()
      ticker.advance(closeTimeout - 100)
    }
    expect(near.owner.closed).toBeUndefined()
    far.channel.resume()
    await eventually(() => expect(near.owner.closed).toBe("in order"))
    expect(far.owner.bytes).toBe(written)
  })

  it("says nothing when there is nothing to say", async () => {
    const { near, far } = await pair()
    const chunks: Array<number> = []
    far.owner.onChunk = () => chunks.push(far.owner.bytes)
    expect(near.channel.write(Buffer.alloc(0))).toBe(true)
    near.channel.write(Buffer.from("x"))
    await eventually(() => expect(far.owner.text).toBe("x"))
    expect(chunks).toEqual([1])
  })

  it("does not keep a socket for a peer that takes nothing after both have closed", async () => {
    const { near, far, ticker } = await pair()
    far.socket.pause()
    while (near.channel.write(Buffer.alloc(60_000))) await new Promise(setImmediate)
    far.channel.close()
    await eventually(() => expect(near.owner.closed).toBe("in order"))
    expect(near.socket.destroyed).toBe(false)
    ticker.advance(unsentPatience - closeTimeout)
    expect(near.socket.destroyed).toBe(false)
    ticker.advance(2 * closeTimeout)
    expect(near.socket.destroyed).toBe(true)
  })

  it("breaks for both sides, at once here, and soon there", async () => {
    const { near, far, over } = await pair()
    near.channel.abort(new Error("enough"))
    expect(near.owner.closed).toBe("enough")
    await eventually(() => expect(far.owner.closed).toBeDefined())
    expect(far.owner.closed).not.toBe("in order")
    near.channel.abort(new Error("again"))
    near.channel.close()
    expect(near.channel.write(Buffer.from("x"))).toBe(true)
    expect(over).toHaveLength(2)
  })

  it("has broken when the connection ends without a close, whoever ended it", async () => {
    const { near, far } = await pair()
    far.channel.write(Buffer.from("so far"))
    far.socket.end()
    await eventually(() => expect(near.owner.closed).toBe("the connection of the link broke"))
    expect(near.owner.text).toBe("so far")
  })

  it("hands on what has come although writing fails", async () => {
    const { near, far } = await pair()
    near.channel.pause()
    far.channel.write(Buffer.alloc(50_000, "w"))
    await eventually(() => expect(far.socket.writableLength).toBe(0))
    far.socket.destroy()
    await once(far.socket, "close")
    // The first is answered by a reset, those after it fail.
    for (let i = 0; i < 20; i++) {
      near.channel.write(Buffer.from("nobody reads this"))
      await new Promise(setImmediate)
    }
    expect(near.owner.closed).toBeUndefined()
    near.channel.resume()
    await eventually(() => expect(near.owner.closed).toBeDefined())
    expect(near.owner.bytes).toBe(50_000)
  })

  it("breaks when what comes is not genuine, or of another lane or kind", async () => {
    const bad: ReadonlyArray<(sealer: RecordSealer) => Buffer> = [
      // As a length this is more than any record has.
      () => Buffer.alloc(64, 0xff),
      (sealer) => sealer.seal(recordKinds.data, 1, Buffer.from("x")),
      (sealer) => sealer.seal(7, 0, Buffer.from("x"))
    ]
    for (const make of bad) {
      const { near, channel, sealer, heard, over } = await acceptor()
      near.write(sealer.seal(recordKinds.hello, 0, Buffer.alloc(0)))
      await eventually(() => expect(heard()).toBe(1))
      const owner = new Owner(channel)
      near.write(make(sealer))
      await eventually(() => expect(owner.closed).toMatch(/^a record /))
      expect(over()).toBe(1)
    }
  })

  it("is none for the acceptor before the dialler's hello has opened", async () => {
    const { near, sealer, heard, over } = await acceptor()
    near.write(sealer.seal(recordKinds.data, 0, Buffer.from("x")))
    await eventually(() => expect(over()).toBe(1))
    expect(heard()).toBe(0)
    const replayed = await acceptor()
    const other = new RecordSealer(randomBytes(32))
    replayed.near.write(other.seal(recordKinds.hello, 0, Buffer.alloc(0)))
    await eventually(() => expect(replayed.over()).toBe(1))
    expect(replayed.heard()).toBe(0)
  })

  it("breaks when its owner throws", async () => {
    const { near, far } = await pair()
    far.owner.onChunk = () => {
      throw new Error("a bug")
    }
    near.channel.write(Buffer.from("x"))
    await eventually(() => expect(far.owner.closed).toBe("a bug"))
    await eventually(() => expect(near.owner.closed).toBeDefined())
  })
})
