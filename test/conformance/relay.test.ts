/**
 * Connections whose socket one thread has and which another talks through: both halves, joined by a
 * port that hands messages over late, and in the test's hand where it has to be.
 */
import { once } from "node:events"
import net from "node:net"
import { multiaddrConnectionPair } from "@libp2p/utils"
import { multiaddr } from "@multiformats/multiaddr"
import { afterEach, describe, expect, it, vi } from "vitest"
import { RelayedConnection } from "../../src/mesh/host/RelayedConnection.ts"
import { type RelayDown, type RelayUp, relayTold, relayWindow } from "../../src/model/Relay.ts"
import { MeshPort } from "../../src/request/link/MeshPort.ts"
import { ForeignRelay } from "../../src/request/listener/ForeignRelay.ts"
import { linkReadMemory } from "../../src/request/socket/ReadMemory.ts"
import { ManualTicker } from "../../src/testing/LinkTestPair.ts"

const { log } = multiaddrConnectionPair({ delay: 0 })[0]
const KiB = 1024
const eventually = (condition: () => void) =>
  vi.waitFor(condition, { timeout: 10_000, interval: 1 })
const turn = () => new Promise((resolve) => setImmediate(resolve))

const closing: Array<() => unknown> = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

/** What asks for a handshake, and then what the test says. */
const hello = Buffer.from("\x13/multistream/1.0.0\n\x0f/skein/noise/3\n")

const join = async () => {
  /** Bytes handed to the port that the other side has not yet been told it took, either way. */
  const underway = { up: 0, down: 0, mostUp: 0, mostDown: 0 }
  const sent: Array<RelayUp | RelayDown> = []
  let connection: RelayedConnection | undefined
  let closedReason: string | undefined | null = null
  const relay = new ForeignRelay(
    (message) => {
      sent.push(message)
      if (message.type === "relay.data") {
        underway.up += message.bytes.length
        underway.mostUp = Math.max(underway.mostUp, underway.up)
      }
      if (message.type === "relay.taken") underway.down -= message.bytes
      if (message.type === "relay.closed") closedReason = message.reason
      setImmediate(() => {
        if (message.type === "relay.open") {
          const { host, port } = message.remote
          connection = new RelayedConnection({
            ...{ id: message.id, post: down, log },
            remoteAddr: multiaddr(`/ip4/${host}/tcp/${port}`)
          })
        } else connection?.receive(message)
      })
    },
    () => performance.now()
  )
  const down = (message: RelayDown): void => {
    sent.push(message)
    if (message.type === "relay.data") {
      underway.down += message.bytes.length
      underway.mostDown = Math.max(underway.mostDown, underway.down)
    }
    if (message.type === "relay.taken") underway.up -= message.bytes
    setImmediate(() => relay.receive(message))
  }
  const port = await MeshPort.open({
    ...{ listen: ["/ip4/127.0.0.1/tcp/0"], reusePort: false, ticker: new ManualTicker() },
    onLink: () => expect.unreachable("that is no link"),
    foreign: (sorted) => relay.add(1, sorted)
  })
  closing.push(async () => {
    relay.close()
    await port.close()
  })
  const { port: number } = new URL(`http://host:${port.addresses[0]!.split("/").at(-1)}`)
  const client = net.connect({ host: "127.0.0.1", port: Number(number), noDelay: true })
  closing.push(() => client.destroy())
  await once(client, "connect")
  client.write(hello)
  await eventually(() => expect(connection).toBeDefined())
  return {
    ...{ client, connection: connection!, relay, sent, underway },
    closedReason: () => closedReason
  }
}

const readAll = (connection: RelayedConnection) => {
  const heard = { text: "", bytes: 0 }
  connection.addEventListener("message", ({ data }) => {
    heard.bytes += data.byteLength
    if (heard.text.length < 1_000) heard.text += Buffer.from(data.subarray()).toString("latin1")
  })
  return heard
}

const ended = (connection: RelayedConnection) =>
  new Promise<string>((resolve) =>
    connection.addEventListener("close", ({ error }) => resolve(error?.message ?? "in order"))
  )

describe("a relayed connection", () => {
  it("carries bytes both ways, from the first on", async () => {
    const { client, connection, underway } = await join()
    const heard = readAll(connection)
    let answer = ""
    client.on("data", (bytes) => {
      answer += bytes.toString()
    })
    client.write("how are you?")
    await eventually(() => expect(heard.text).toBe(`${hello}how are you?`))
    connection.send(Buffer.from("well"))
    await eventually(() => expect(answer).toBe("well"))
    // So little is not worth telling.
    expect([underway.up, underway.down]).toEqual([hello.length + 12, 4])
  })

  it("stops the peer that sends when nobody reads, holds a window, and loses nothing", async () => {
    const { client, connection, sent, underway } = await join()
    const heard = readAll(connection)
    await eventually(() => expect(heard.bytes).toBe(hello.length))
    connection.pause()
    const chunk = Buffer.alloc(256 * KiB, "x")
    let written = 0
    // Until the kernel's buffers are full on both sides as well.
    for (let quiet = 0; quiet < 50; ) {
      const room = client.writableLength < 1_024 * KiB
      if (room) {
        client.write(chunk)
        written += chunk.length
      }
      const messages = sent.length
      await turn()
      quiet = room || sent.length > messages ? 0 : quiet + 1
    }
    expect(heard.bytes).toBe(hello.length)
    expect(underway.up).toBeGreaterThanOrEqual(relayWindow)
    // One read more than the window: a socket gives what it has read.
    expect(underway.mostUp).toBeLessThanOrEqual(relayWindow + linkReadMemory.length)
    connection.resume()
    await eventually(() => expect(heard.bytes).toBe(hello.length + written))
    expect(underway.mostUp).toBeLessThanOrEqual(relayWindow + linkReadMemory.length)
  })

  it("stays stopped when whoever is given what had waited stops again", async () => {
    const { client, connection, underway } = await join()
    await eventually(() => expect(connection.readBufferLength).toBe(hello.length))
    connection.pause()
    client.write("one")
    await eventually(() => expect(connection.readBufferLength).toBe(hello.length + 3))
    let heard = 0
    connection.addEventListener("message", ({ data }) => {
      heard += data.byteLength
      connection.pause()
    })
    connection.resume()
    expect(heard).toBe(hello.length + 3)
    client.write("two")
    await eventually(() => expect(connection.readBufferLength).toBe(3))
    // What nobody has read is not said to be taken.
    expect(underway.up).toBeGreaterThanOrEqual(3)
    connection.resume()
    await eventually(() => expect(heard).toBe(hello.length + 6))
  })

  it("has libp2p wait when the peer does not read, holds a window, and loses nothing", async () => {
    const { client, connection, underway } = await join()
    client.pause()
    const chunk = Buffer.alloc(64 * KiB, "y")
    let written = 0
    let rooms = 0
    connection.addEventListener("drain", () => rooms++)
    // As libp2p does: until it is told to wait, then when there is room again.
    for (let quiet = 0; quiet < 50; ) {
      if (!connection.writableNeedsDrain) {
        connection.send(chunk)
        written += chunk.length
        quiet = 0
      } else quiet++
      await turn()
    }
    expect(underway.down).toBeGreaterThanOrEqual(relayWindow)
    expect(underway.mostDown).toBeLessThanOrEqual(relayWindow + chunk.length)
    const before = rooms
    let read = 0
    client.on("data", (bytes) => {
      read += bytes.length
    })
    client.resume()
    await eventually(() => expect(read).toBe(written))
    await eventually(() => expect(underway.down).toBeLessThan(relayTold))
    expect(rooms).toBeGreaterThan(before)
  })

  it("ends in order when libp2p closes it, what was written before included", async () => {
    const { client, connection, closedReason, relay } = await join()
    const end = ended(connection)
    let read = 0
    client.on("data", (bytes) => {
      read += bytes.length
    })
    connection.send(Buffer.alloc(100 * KiB))
    const gone = once(client, "close")
    await connection.close()
    await gone
    expect([await end, read, closedReason()]).toEqual(["in order", 100 * KiB, undefined])
    expect(relay.size).toBe(0)
  })

  it("ends in order when the peer does", async () => {
    const { client, connection, relay } = await join()
    const heard = readAll(connection)
    const end = ended(connection)
    client.end("bye")
    expect(await end).toBe("in order")
    expect(heard.text).toBe(`${hello}bye`)
    expect(relay.size).toBe(0)
  })

  it("is reset when either side breaks it off", async () => {
    const first = await join()
    const failed = once(first.client, "error")
    first.connection.abort(new Error("enough"))
    expect(await failed).toMatchObject([{ code: "ECONNRESET" }])
    await eventually(() => expect(first.relay.size).toBe(0))

    const second = await join()
    const end = ended(second.connection)
    readAll(second.connection)
    second.client.resetAndDestroy()
    expect(await end).toContain("ECONNRESET")
    await eventually(() => expect(second.relay.size).toBe(0))
  })

  it("says nothing more once the thread is gone", async () => {
    const { connection, sent } = await join()
    readAll(connection)
    const end = ended(connection)
    const before = sent.length
    connection.lost("the request thread that had its socket is gone")
    expect(await end).toContain("is gone")
    expect(() => connection.send(Buffer.from("late"))).toThrow()
    connection.abort(new Error("again"))
    connection.receive({ type: "relay.closed", id: 1, reason: undefined })
    expect(sent).toHaveLength(before)
    await connection.close()
  })

  it("is not waited for longer than libp2p wants when the peer takes nothing", async () => {
    const { client, connection } = await join()
    client.pause()
    while (!connection.writableNeedsDrain) {
      connection.send(Buffer.alloc(1_024 * KiB))
      await turn()
    }
    await expect(connection.close({ signal: AbortSignal.abort() })).rejects.toThrow()
  })

  it("ends when its thread stops, as all of them do", async () => {
    const { client, connection, relay } = await join()
    const end = ended(connection)
    const gone = once(client, "close")
    relay.close()
    await gone
    expect(await end).toBe("in order")
    expect(relay.size).toBe(0)
    // Of connections that are gone the mesh thread may still speak.
    relay.receive({ type: "relay.data", id: 1, bytes: hello })
  })
})
