import { subscribe, unsubscribe } from "node:diagnostics_channel"
import { once } from "node:events"
import net from "node:net"
import { afterEach, describe, expect, it, vi } from "@effect/vitest"
import type { Connection, StreamMessageEvent, Upgrader } from "@libp2p/interface"
import { multiaddrConnectionPair } from "@libp2p/utils"
import { type Multiaddr, multiaddr } from "@multiformats/multiaddr"
import { SocketConnection } from "./SocketConnection.ts"
import { socketTransport } from "./SocketTransport.ts"

const { log } = multiaddrConnectionPair({ delay: 0 })[0]
const transport = socketTransport({ logger: { forComponent: () => log } })
const loopback = multiaddr("/ip4/127.0.0.1/tcp/0")
const eventually = (condition: () => void) => vi.waitFor(condition, { timeout: 5_000, interval: 1 })

const closers: Array<() => Promise<unknown>> = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

/** Hands over the connections that libp2p would secure. */
const capture = () => {
  const made: Array<SocketConnection> = []
  const take = (it: unknown): void => {
    if (!(it instanceof SocketConnection)) throw new Error("not a connection of this transport")
    made.push(it)
  }
  const upgrader: Pick<Upgrader, "upgradeInbound" | "upgradeOutbound"> = {
    upgradeInbound: async (it) => take(it),
    upgradeOutbound: async (it) => {
      take(it)
      // Nobody here looks at what libp2p would make of it.
      return undefined as unknown as Connection
    }
  }
  return { made, upgrader: upgrader as Upgrader }
}

const listen = async (address = loopback) => {
  const { made, upgrader } = capture()
  const listener = transport.createListener({ upgrader })
  await listener.listen(address)
  closers.push(() => listener.close())
  return { listener, accepted: made, address: listener.getAddrs()[0]! }
}

const dial = async (address: Multiaddr, signal = AbortSignal.timeout(5_000)) => {
  const { made, upgrader } = capture()
  await transport.dial(address, { signal, upgrader })
  return made[0]!
}

/** Two ends of one connection. */
const pair = async () => {
  const { address, accepted } = await listen()
  const dialled = await dial(address)
  await eventually(() => expect(accepted).toHaveLength(1))
  return { dialled, accepted: accepted[0]! }
}

const readAll = (connection: SocketConnection) => {
  const heard = { text: "", bytes: 0 }
  connection.addEventListener("message", ({ data }) => {
    heard.bytes += data.byteLength
    if (heard.text.length < 100) heard.text += Buffer.from(data.subarray()).toString("latin1")
  })
  return heard
}

const closed = (connection: SocketConnection) =>
  new Promise<string>((resolve) =>
    connection.addEventListener("close", ({ error, local }) =>
      resolve(
        error === undefined ? "in order" : `${local === true ? "here" : "there"}: ${error.name}`
      )
    )
  )

describe("a TCP connection between nodes", () => {
  it("carries bytes both ways", async () => {
    const { dialled, accepted } = await pair()
    const far = readAll(accepted)
    const near = readAll(dialled)
    dialled.send(Buffer.from("to the listener"))
    accepted.send(Buffer.from("to the dialler"))
    await eventually(() => {
      expect(far.text).toBe("to the listener")
      expect(near.text).toBe("to the dialler")
    })
  })

  it("gives what comes in several parts to the system at once", async () => {
    const { dialled, accepted } = await pair()
    const heard = new Promise<StreamMessageEvent["data"]>((resolve) =>
      accepted.addEventListener("message", ({ data }) => resolve(data), { once: true })
    )
    dialled.send(Buffer.from("5:"))
    const list = await heard
    if (list instanceof Uint8Array) throw new Error("libp2p hands over lists")
    // As Noise does: the length of a message, and the message.
    list.append(Buffer.from("words"))
    const write = vi.spyOn(net.Socket.prototype, "write")
    accepted.send(list)
    const written = write.mock.calls.map(([bytes]) => Buffer.from(bytes).toString())
    write.mockRestore()
    expect(written).toEqual(["5:words"])
  })

  it("keeps what came before anybody listened", async () => {
    const { dialled, accepted } = await pair()
    dialled.send(Buffer.from("early, "))
    await eventually(() => expect(accepted.readBufferLength).toBe(7))
    const far = readAll(accepted)
    dialled.send(Buffer.from("late"))
    await eventually(() => expect(far.text).toBe("early, late"))
  })

  it("stops reading while held, tells the writer to wait, and loses nothing", async () => {
    const { dialled, accepted } = await pair()
    const far = readAll(accepted)
    accepted.pause()
    let rooms = 0
    dialled.addEventListener("drain", () => rooms++)
    const chunk = Buffer.alloc(256 * 1024, "x")
    let written = 0
    // Until kernel buffers are full on both sides.
    for (let open = true; open; written += chunk.length) open = dialled.send(chunk)
    await new Promise(setImmediate)
    expect(far.bytes).toBe(0)
    accepted.resume()
    await eventually(() => expect(far.bytes).toBe(written))
    expect(rooms).toBeGreaterThan(0)
  })

  it("stays held when whoever is given what had waited holds it again", async () => {
    const { dialled, accepted } = await pair()
    dialled.send(Buffer.from("early"))
    await eventually(() => expect(accepted.readBufferLength).toBe(5))
    accepted.pause()
    let heard = 0
    accepted.addEventListener("message", ({ data }) => {
      heard += data.byteLength
      accepted.pause()
    })
    accepted.resume()
    expect(heard).toBe(5)
    // More than libp2p lets wait: a socket that went on reading would be broken off.
    const chunk = Buffer.alloc(256 * 1024, "x")
    for (let open = true; open; ) open = dialled.send(chunk)
    for (let turns = 0; turns < 100; turns++) await new Promise(setImmediate)
    expect([accepted.readBufferLength, accepted.status]).toEqual([0, "open"])
  })

  it("ends in order when one side closes it, and with an error when one breaks it off", async () => {
    const first = await pair()
    const ends = Promise.all([closed(first.dialled), closed(first.accepted)])
    await first.dialled.close()
    expect(await ends).toEqual(["in order", "in order"])

    const second = await pair()
    const breaks = Promise.all([closed(second.dialled), closed(second.accepted)])
    second.accepted.abort(new Error("enough"))
    const [dialled, accepted] = await breaks
    expect(dialled).not.toBe("in order")
    expect(accepted).toBe("here: Error")
  })
})

describe("dialling", () => {
  it("says where nobody answered", async () => {
    const { listener, address } = await listen()
    await listener.close()
    await expect(dial(address)).rejects.toThrow(
      /^no connection to 127\.0\.0\.1:\d+: .*ECONNREFUSED/
    )
  })

  it("is given up with its signal, and leaves no socket behind", async () => {
    const { address } = await listen()
    await expect(dial(address, AbortSignal.abort())).rejects.toThrow()
    const controller = new AbortController()
    const dialling = dial(address, controller.signal)
    controller.abort()
    await expect(dialling).rejects.toThrow()
  })

  it("takes what a socket that was given up still has to say", async () => {
    const { address } = await listen()
    const sockets: Array<net.Socket> = []
    const onSocket = (message: unknown): void => {
      if (typeof message !== "object" || message === null || !("socket" in message)) return
      if (message.socket instanceof net.Socket) sockets.push(message.socket)
    }
    subscribe("net.client.socket", onSocket)
    const controller = new AbortController()
    const dialling = dial(address, controller.signal)
    unsubscribe("net.client.socket", onSocket)
    controller.abort()
    await expect(dialling).rejects.toThrow()
    // Without a listener an error would end the process.
    const refused = new Error("connect ECONNREFUSED")
    expect(sockets.map((socket) => socket.emit("error", refused))).toEqual([true])
  })

  it("takes TCP addresses, with or without the peer, and no others", () => {
    const peer = "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp"
    const good = ["/ip4/10.0.0.1/tcp/1", `/dns4/node/tcp/1/p2p/${peer}`, "/ip6/::1/tcp/1"]
    const bad = [
      "/ip4/10.0.0.1/udp/1",
      "/ip4/10.0.0.1/tcp/1/ws",
      `/ip4/10.0.0.1/tcp/1/p2p/${peer}/p2p-circuit`
    ]
    expect(transport.dialFilter([...bad, ...good].map((it) => multiaddr(it))).map(String)).toEqual(
      good
    )
  })
})

describe("a listener", () => {
  it("says that its port is taken", async () => {
    const { address } = await listen()
    await expect(listen(address)).rejects.toMatchObject({ code: "EADDRINUSE" })
  })

  it("closes with its connections, also one that was never heard of again", async () => {
    const { listener, accepted, address } = await listen()
    const { host, port } = {
      host: "127.0.0.1",
      port: Number(/\/tcp\/(\d+)/.exec(String(address))?.[1])
    }
    const socket = net.connect({ host, port })
    const gone = once(socket, "close")
    await eventually(() => expect(accepted).toHaveLength(1))
    await listener.close()
    await gone
  })
})
