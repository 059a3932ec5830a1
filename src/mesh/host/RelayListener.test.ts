import { describe, expect, it, vi } from "@effect/vitest"
import type { Upgrader } from "@libp2p/interface"
import { multiaddrConnectionPair } from "@libp2p/utils"
import { multiaddr } from "@multiformats/multiaddr"
import { type RelayDown, relayWindow, type SocketEnd } from "../../model/Relay.ts"
import { RelayedConnection } from "./RelayedConnection.ts"
import { RelayListener, type RelayPipe, type RelayPort } from "./RelayListener.ts"

const { log } = multiaddrConnectionPair({ delay: 0 })[0]
const logger = { forComponent: () => log }
const remote = { host: "10.0.0.9", port: 9_000 }

const make = (open?: () => Promise<RelayPort>) => {
  const asked: Array<SocketEnd> = []
  const made: Array<RelayedConnection> = []
  const signals: Array<AbortSignal | undefined> = []
  let onConnection: (pipe: RelayPipe) => void = () => undefined
  let closed = 0
  let upgrade: () => Promise<void> = async () => undefined
  const upgrader: Pick<Upgrader, "upgradeInbound"> = {
    upgradeInbound: async (connection, options) => {
      if (!(connection instanceof RelayedConnection)) throw new Error("not one of these")
      made.push(connection)
      signals.push(options?.signal)
      await upgrade()
    }
  }
  const listener = new RelayListener(upgrader as Upgrader, logger, {
    open: async (address, take) => {
      asked.push(address)
      onConnection = take
      if (open !== undefined) return open()
      return {
        address: { host: address.host, port: 4_001 },
        close: async () => {
          closed++
        }
      }
    }
  })
  /** A connection that a thread hands over. */
  const comes = (id: number) => {
    const posted: Array<RelayDown> = []
    const pipe: RelayPipe = {
      ...{ id, remote, post: (message) => posted.push(message) },
      onMessage: () => expect.unreachable("nobody took it"),
      onLost: () => expect.unreachable("nobody took it")
    }
    onConnection(pipe)
    return { pipe, posted }
  }
  return {
    ...{ listener, asked, made, signals, comes },
    closed: () => closed,
    refuse: (error: Error) => {
      upgrade = () => Promise.reject(error)
    }
  }
}

describe("the node's port as libp2p sees it", () => {
  it("is asked of the threads, and told with the number it got", async () => {
    const { asked, listener } = make()
    expect([listener.bound, listener.getAddrs()]).toEqual([undefined, []])
    let events = 0
    listener.addEventListener("listening", () => events++)
    await listener.listen(multiaddr("/ip4/127.0.0.1/tcp/0"))
    expect(asked).toEqual([{ host: "127.0.0.1", port: 0, ipv6Only: false }])
    expect(events).toBe(1)
    expect(String(listener.bound)).toBe("/ip4/127.0.0.1/tcp/4001")
    expect(listener.getAddrs().map(String)).toEqual(["/ip4/127.0.0.1/tcp/4001"])
  })

  it("is for IPv6 alone where the address is", async () => {
    const { asked, listener } = make()
    await listener.listen(multiaddr("/ip6/::/tcp/4001"))
    expect(asked).toEqual([{ host: "::", port: 4_001, ipv6Only: true }])
  })

  it("is not there when the threads cannot have it, and says why", async () => {
    const { listener } = make(() => Promise.reject(new Error("EADDRINUSE: somebody has it")))
    await expect(listener.listen(multiaddr("/ip4/127.0.0.1/tcp/1"))).rejects.toThrow("EADDRINUSE")
    expect(listener.bound).toBeUndefined()
  })

  it("makes connections of what comes: bytes, and the end", async () => {
    const { comes, listener, made } = make()
    await listener.listen(multiaddr("/ip4/127.0.0.1/tcp/0"))
    const { pipe, posted } = comes(3)
    expect(made).toHaveLength(1)
    expect(String(made[0]?.remoteAddr)).toBe("/ip4/10.0.0.9/tcp/9000")
    let heard = ""
    made[0]?.addEventListener("message", ({ data }) => {
      heard += Buffer.from(data.subarray()).toString()
    })
    pipe.onMessage({ type: "relay.data", id: 3, bytes: Buffer.from("hello") })
    expect(heard).toBe("hello")
    // Little is not worth a message of its own.
    expect(posted).toEqual([])
    const half = relayWindow / 2
    pipe.onMessage({ type: "relay.data", id: 3, bytes: Buffer.alloc(half - 6) })
    expect(posted).toEqual([])
    pipe.onMessage({ type: "relay.data", id: 3, bytes: Buffer.alloc(1) })
    expect(posted).toEqual([{ type: "relay.taken", id: 3, bytes: half }])
    pipe.onMessage({ type: "relay.closed", id: 3, reason: undefined })
    expect(made[0]?.status).toBe("closed")
  })

  it("loses a connection with the thread that had it", async () => {
    const { comes, listener, made } = make()
    await listener.listen(multiaddr("/ip4/127.0.0.1/tcp/0"))
    const { pipe, posted } = comes(3)
    pipe.onLost("the request thread that had its socket is gone")
    expect(made[0]?.status).toBe("aborted")
    expect(posted).toEqual([])
  })

  it("breaks off who is refused", async () => {
    const { comes, listener, refuse } = make()
    await listener.listen(multiaddr("/ip4/127.0.0.1/tcp/0"))
    refuse(new Error("not of this mesh"))
    const { posted } = comes(4)
    await vi.waitFor(() => expect(posted).toEqual([{ type: "relay.reset", id: 4 }]))
  })

  it("closes with all its connections and the handshakes under way", async () => {
    const { closed, comes, listener, made, signals } = make()
    await listener.listen(multiaddr("/ip4/127.0.0.1/tcp/0"))
    const [one, other] = [comes(1), comes(2)]
    other.pipe.onMessage({ type: "relay.closed", id: 2, reason: undefined })
    let events = 0
    listener.addEventListener("close", () => events++)
    await listener.close()
    expect(made.map(({ status }) => status)).toEqual(["aborted", "closed"])
    expect([one.posted, other.posted]).toEqual([[{ type: "relay.reset", id: 1 }], []])
    expect(signals.every((signal) => signal?.aborted)).toBe(true)
    expect([closed(), events, listener.bound]).toEqual([1, 1, undefined])
  })
})
