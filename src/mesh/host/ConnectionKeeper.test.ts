import { once } from "node:events"
import { type AddressInfo, createServer, type Socket } from "node:net"
import { noise } from "@chainsafe/libp2p-noise"
import { describe, expect, it, vi } from "@effect/vitest"
import { generateKeyPair } from "@libp2p/crypto/keys"
import { Effect } from "effect"
import { MeshId, PeerKey } from "../../model/Names.ts"
import { alice, ManualTicker } from "../../testing/LinkTestPair.ts"
import { ConnectionKeeper, type KeeperOptions } from "./ConnectionKeeper.ts"
import { type MeshHostShape, makeMeshHost } from "./MeshHost.ts"

const mesh = MeshId.make("00112233445566778899aabbccddeeff")
const loopback = "/ip4/127.0.0.1/tcp/0"
/** Takes connections and says nothing. */
const silent = Effect.map(
  Effect.acquireRelease(
    Effect.promise(async () => {
      const sockets = new Set<Socket>()
      const server = createServer((socket) => {
        sockets.add(socket)
        socket.on("error", () => undefined)
      })
      await once(server.listen(0, "127.0.0.1"), "listening")
      return { server, sockets }
    }),
    ({ server, sockets }) =>
      Effect.sync(() => {
        server.close()
        for (const socket of sockets) socket.destroy()
      })
  ),
  ({ server }) => {
    const { port } = server.address() as AddressInfo // a TCP server has one
    return `/ip4/127.0.0.1/tcp/${port}`
  }
)

/** Nobody listens there. */
const nowhere = "/ip4/127.0.0.1/tcp/1"

const makeHost = (listen: ReadonlyArray<string> = [loopback]) =>
  Effect.gen(function* () {
    const privateKey = yield* Effect.promise(() => generateKeyPair("Ed25519"))
    return yield* makeMeshHost({ privateKey, mesh, listen, encrypter: noise() })
  })

/** A host whose connections are kept, on a clock by hand. */
const keep = (host: MeshHostShape, options: Partial<KeeperOptions> = {}) =>
  Effect.gen(function* () {
    const ticker = new ManualTicker()
    const dialled: Array<number> = []
    const where = { addresses: [] as ReadonlyArray<string> }
    const keeper = new ConnectionKeeper({
      host,
      ticker,
      addressesOf: () => {
        dialled.push(ticker.now())
        return where.addresses
      },
      ...options
    })
    yield* Effect.addFinalizer(() => Effect.sync(() => keeper.stop()))
    const events: Array<readonly ["up" | "down", PeerKey]> = []
    keeper.onUp((peer) => events.push(["up", peer]))
    keeper.onDown((peer) => events.push(["down", peer]))
    const stateOf = (peer: PeerKey) => keeper.status().find((it) => it.peer === peer)
    return { keeper, ticker, dialled, where, events, stateOf }
  })

/** Two hosts; the first keeps its connections with the second, whom it can dial. */
const pair = (options: Partial<KeeperOptions> = {}) =>
  Effect.gen(function* () {
    const a = yield* makeHost([])
    const b = yield* makeHost()
    const kept = yield* keep(a, options)
    kept.where.addresses = b.addresses()
    return { a, b, ...kept }
  })

/** Whoever is dialled may learn of a connection later than who dials. */
const cut = (host: MeshHostShape) =>
  Effect.andThen(
    until(() => host.connectionCount() > 0),
    () => {
      for (const connection of host.libp2p.getConnections()) connection.abort(new Error("cut"))
    }
  )

/** Looks again in every turn of the event loop; the test's own timeout ends it. */
const until = (condition: () => boolean): Effect.Effect<void> =>
  Effect.async((resume) => {
    let live = true
    const look = () => {
      if (condition()) resume(Effect.void)
      else if (live) setImmediate(look)
    }
    look()
    return Effect.sync(() => {
      live = false
    })
  })

describe("a connection that is wanted", () => {
  it.scopedLive("is made, and told at once where it is made and where it comes", () =>
    Effect.gen(function* () {
      const { a, b, events, keeper, stateOf } = yield* pair()
      const other = yield* keep(b)
      keeper.want(b.peer)
      expect(stateOf(b.peer)).toMatchObject({ state: "connecting", wanted: true })
      yield* until(() => keeper.isUp(b.peer) && other.keeper.isUp(a.peer))
      expect(stateOf(b.peer)).toMatchObject({ state: "up", reason: undefined })
      expect(other.stateOf(a.peer)).toMatchObject({ state: "up", wanted: false })
      expect([events, other.events]).toEqual([[["up", b.peer]], [["up", a.peer]]])
      expect(keeper.connectedPeers()).toEqual([b.peer])
      keeper.want(b.peer)
      expect(a.connectionCount()).toBe(1)
    })
  )

  it.scopedLive("is made again at once when it was well and breaks", () =>
    Effect.gen(function* () {
      const { b, dialled, events, keeper, ticker } = yield* pair()
      keeper.want(b.peer)
      yield* until(() => keeper.isUp(b.peer))
      ticker.advance(2_000)
      yield* cut(b)
      yield* until(() => events.length === 3)
      expect(events.map(([what]) => what)).toEqual(["up", "down", "up"])
      expect(dialled).toEqual([0, 2_000])
    })
  )

  it.scopedLive("is made again after a pause when it had only just been made", () =>
    Effect.gen(function* () {
      const { b, dialled, events, keeper, stateOf, ticker } = yield* pair()
      keeper.want(b.peer)
      yield* until(() => keeper.isUp(b.peer))
      ticker.advance(1_000)
      yield* cut(b)
      yield* until(() => events.length === 2)
      expect(stateOf(b.peer)).toMatchObject({ state: "down", reason: "the connection was lost" })
      // By `redialPause`: of the base, half with this chance.
      ticker.advance(40)
      expect(dialled).toEqual([0])
      ticker.advance(20)
      expect(dialled).toHaveLength(2)
      yield* until(() => keeper.isUp(b.peer))
    })
  )

  it.scopedLive(
    "is tried for ever where nobody answers, after pauses that grow to their limit",
    () =>
      Effect.gen(function* () {
        const { b, dialled, keeper, stateOf, ticker, where } = yield* pair()
        where.addresses = [nowhere]
        keeper.want(b.peer)
        for (let attempt = 1; attempt <= 11; attempt++) {
          yield* until(() => stateOf(b.peer)?.state === "down")
          expect(stateOf(b.peer)?.reason).toContain("ECONNREFUSED")
          while (dialled.length === attempt) ticker.advance(10)
        }
        const pauses = dialled.slice(1).map((at, n) => at - dialled[n]!)
        const expected = [50, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 15_000, 15_000]
        for (const [n, pause] of pauses.entries()) {
          // On the wheel's steps.
          expect(pause).toBeGreaterThanOrEqual(expected[n]!)
          expect(pause).toBeLessThanOrEqual(expected[n]! + 30)
        }
        where.addresses = b.addresses()
        yield* until(() => stateOf(b.peer)?.state === "down")
        ticker.advance(15_100)
        yield* until(() => keeper.isUp(b.peer))
      })
  )

  it.scopedLive("is given up after a while where nothing comes back, and then tried again", () =>
    Effect.gen(function* () {
      const { b, dialled, keeper, stateOf, ticker, where } = yield* pair()
      where.addresses = [yield* silent]
      keeper.want(b.peer)
      ticker.advance(5_000)
      yield* until(() => stateOf(b.peer)?.state === "down")
      expect(stateOf(b.peer)?.reason).toBe("no answer within 5000 ms")
      ticker.advance(200)
      expect(dialled).toHaveLength(2)
    })
  )

  it.scopedLive("waits for an address, and passes over one that is none", () =>
    Effect.gen(function* () {
      const { b, keeper, stateOf, ticker, where } = yield* pair()
      where.addresses = []
      keeper.want(b.peer)
      yield* until(() => stateOf(b.peer)?.state === "down")
      expect(stateOf(b.peer)?.reason).toBe("no address of the node is known")
      where.addresses = ["not an address"]
      ticker.advance(500)
      yield* until(() => stateOf(b.peer)?.state === "down")
      expect(stateOf(b.peer)?.reason).toContain("not an address")
      where.addresses = ["not an address", ...b.addresses()]
      ticker.advance(500)
      yield* until(() => keeper.isUp(b.peer))
    })
  )

  it.scopedLive("is tried soon when there is news that the peer is well", () =>
    Effect.gen(function* () {
      const { b, dialled, keeper, stateOf, ticker, where } = yield* pair()
      where.addresses = [nowhere]
      keeper.want(b.peer)
      for (let attempt = 1; attempt <= 9; attempt++) {
        yield* until(() => stateOf(b.peer)?.state === "down")
        while (dialled.length === attempt) ticker.advance(10)
      }
      yield* until(() => stateOf(b.peer)?.state === "down")
      where.addresses = b.addresses()
      keeper.wake(b.peer)
      ticker.advance(100)
      yield* until(() => keeper.isUp(b.peer))
      keeper.wake(b.peer) // it is up
      keeper.wake(alice) // of whom nobody has heard
    })
  )

  it.scopedLive("waits longer while this node doubts itself", () =>
    Effect.gen(function* () {
      const { b, dialled, keeper, stateOf, ticker, where } = yield* pair({ doubt: () => 3 })
      where.addresses = [nowhere]
      keeper.want(b.peer)
      yield* until(() => stateOf(b.peer)?.state === "down")
      ticker.advance(380)
      expect(dialled).toHaveLength(1)
      ticker.advance(60)
      expect(dialled).toHaveLength(2)
    })
  )

  it.scopedLive("is tried with all others at a rate, but for one that a call waits for", () =>
    Effect.gen(function* () {
      const limits = { dialsPerSecond: 1, dialBurst: 2 }
      const { b, dialled, keeper, ticker } = yield* pair({ limits })
      const others = ["1", "2", "3", "4"].map((n) => PeerKey.make(`${alice.slice(0, -1)}${n}`))
      for (const peer of others) keeper.want(peer)
      expect(dialled).toEqual([0, 0])
      yield* Effect.promise(() => keeper.connect(b.peer))
      expect(dialled).toEqual([0, 0, 0])
      for (const peer of others) keeper.unwant(peer)
      ticker.advance(10_000)
      for (const peer of others) keeper.want(peer)
      expect(dialled).toHaveLength(5)
      ticker.advance(20_000)
      expect(dialled.length).toBeGreaterThanOrEqual(7)
      expect(dialled.length).toBeLessThanOrEqual(5 + 20)
    })
  )

  it.scopedLive("is left to the peer to make for a while, and then made", () =>
    Effect.gen(function* () {
      const { b, dialled, keeper, ticker } = yield* pair()
      keeper.want(b.peer, 1_000)
      ticker.advance(990)
      expect(dialled).toEqual([])
      ticker.advance(10)
      yield* until(() => keeper.isUp(b.peer))
      expect(dialled.length).toBe(1)
    })
  )

  it.scopedLive("is made at once for who needs it, though the peer was to make it", () =>
    Effect.gen(function* () {
      const { b, dialled, keeper, ticker } = yield* pair()
      keeper.want(b.peer, 1_000)
      yield* Effect.promise(() => keeper.reach(b.peer))
      expect(keeper.isUp(b.peer)).toBe(true)
      ticker.advance(5_000)
      expect(dialled.length).toBe(1)
    })
  )

  it.scopedLive("is never one with this node itself", () =>
    Effect.gen(function* () {
      const { a, dialled, keeper } = yield* pair()
      keeper.want(a.peer)
      expect([dialled, keeper.status()]).toEqual([[], []])
    })
  )
})

describe("a connection that is wanted no more", () => {
  it.scopedLive("stays while it is there, and is not made again", () =>
    Effect.gen(function* () {
      const { b, dialled, events, keeper, ticker } = yield* pair()
      keeper.want(b.peer)
      yield* until(() => keeper.isUp(b.peer))
      ticker.advance(10_000)
      keeper.unwant(b.peer)
      expect(keeper.isUp(b.peer)).toBe(true)
      yield* cut(b)
      yield* until(() => events.length === 2)
      ticker.advance(60_000)
      expect([dialled.length, keeper.status()]).toEqual([1, []])
    })
  )

  it.scopedLive("is closed when nobody has needed it for a while, by who has made it", () =>
    Effect.gen(function* () {
      const { a, b, events, keeper, ticker } = yield* pair()
      const other = yield* keep(b)
      yield* Effect.promise(() => keeper.connect(b.peer))
      yield* until(() => other.keeper.isUp(a.peer))
      other.ticker.advance(3_600_000)
      ticker.advance(280_000)
      yield* Effect.promise(() => keeper.connect(b.peer))
      ticker.advance(280_000)
      keeper.use(b.peer)
      ticker.advance(280_000)
      expect(keeper.isUp(b.peer)).toBe(true)
      keeper.use(alice) // of whom nobody has heard
      ticker.advance(60_000)
      yield* until(() => !keeper.isUp(b.peer) && !other.keeper.isUp(a.peer))
      expect(events.map(([what]) => what)).toEqual(["up", "down"])
    })
  )

  it.scopedLive("is not tried again, and forgotten", () =>
    Effect.gen(function* () {
      const { b, dialled, keeper, stateOf, ticker, where } = yield* pair()
      where.addresses = [nowhere]
      keeper.want(b.peer)
      yield* until(() => stateOf(b.peer)?.state === "down")
      keeper.unwant(b.peer)
      ticker.advance(60_000)
      expect([dialled.length, keeper.status()]).toEqual([1, []])
      keeper.want(b.peer)
      keeper.unwant(b.peer) // while it is being tried
      yield* until(() => keeper.status().length === 0)
      ticker.advance(60_000)
      expect(dialled).toHaveLength(2)
      keeper.unwant(alice) // of whom nobody has heard
    })
  )
})

describe("a connection that is needed now", () => {
  it.scopedLive("is made once for all who ask, without keeping it", () =>
    Effect.gen(function* () {
      const { a, b, dialled, events, keeper, ticker } = yield* pair()
      yield* Effect.promise(() => Promise.all([keeper.connect(b.peer), keeper.connect(b.peer)]))
      yield* Effect.promise(() => keeper.connect(b.peer))
      expect([dialled.length, a.connectionCount()]).toEqual([1, 1])
      yield* cut(b)
      yield* until(() => events.length === 2)
      ticker.advance(60_000)
      expect([dialled.length, keeper.status()]).toEqual([1, []])
    })
  )

  it.scopedLive("does not wait for the pause before the next attempt", () =>
    Effect.gen(function* () {
      const { b, dialled, keeper, stateOf, ticker, where } = yield* pair()
      where.addresses = [nowhere]
      keeper.want(b.peer)
      yield* until(() => stateOf(b.peer)?.state === "down")
      where.addresses = b.addresses()
      yield* Effect.promise(() => keeper.connect(b.peer))
      ticker.advance(60_000)
      expect(dialled).toHaveLength(2)
    })
  )

  it.scopedLive(
    "dials nobody who has asked for a moment before it is over, and holds it against nobody",
    () =>
      Effect.gen(function* () {
        const { b, dialled, keeper, stateOf, ticker, where } = yield* pair()
        where.addresses = [nowhere]
        keeper.want(b.peer)
        keeper.askedToWait(b.peer, 3_000)
        yield* until(() => stateOf(b.peer)?.state === "down")
        where.addresses = b.addresses()
        yield* Effect.promise(() => expect(keeper.connect(b.peer)).rejects.toThrow("ECONNREFUSED"))
        keeper.wake(b.peer)
        ticker.advance(2_999)
        expect(dialled).toHaveLength(1)
        ticker.advance(3_001)
        yield* until(() => keeper.isUp(b.peer))
        expect(dialled).toHaveLength(2)
      })
  )

  it.scopedLive("leaves alone who is to be tried again in a moment, where it can do without", () =>
    Effect.gen(function* () {
      const { b, dialled, keeper, stateOf, ticker, where } = yield* pair()
      where.addresses = [nowhere]
      keeper.want(b.peer)
      yield* until(() => stateOf(b.peer)?.state === "down")
      where.addresses = b.addresses()
      yield* Effect.promise(() => expect(keeper.reach(b.peer)).rejects.toThrow("ECONNREFUSED"))
      expect(dialled).toHaveLength(1)
      ticker.advance(200)
      // The attempt is under way now, and serves whoever asks.
      yield* Effect.promise(() => keeper.reach(b.peer))
      expect([dialled.length, keeper.isUp(b.peer)]).toEqual([2, true])
      yield* Effect.promise(() => keeper.reach(b.peer))
    })
  )

  it.scopedLive("fails with the reason, and nothing is kept of it", () =>
    Effect.gen(function* () {
      const { b, keeper, where } = yield* pair()
      where.addresses = [nowhere]
      yield* Effect.promise(() => expect(keeper.connect(b.peer)).rejects.toThrow("ECONNREFUSED"))
      expect(keeper.status()).toEqual([])
      where.addresses = []
      yield* Effect.promise(() => expect(keeper.connect(b.peer)).rejects.toThrow("no address"))
      where.addresses = ["not an address"]
      yield* Effect.promise(() => expect(keeper.connect(b.peer)).rejects.toThrow("not an address"))
      expect(keeper.status()).toEqual([])
    })
  )
})

describe("the keeper of connections", () => {
  it.scopedLive("knows those that were there before it", () =>
    Effect.gen(function* () {
      const { b, keeper } = yield* pair()
      yield* Effect.promise(() => keeper.connect(b.peer))
      yield* until(() => b.connectionCount() > 0)
      const { keeper: later } = yield* keep(b)
      expect(later.connectedPeers()).toHaveLength(1)
    })
  )

  it.scopedLive("breaks them off; one that is wanted is made again", () =>
    Effect.gen(function* () {
      const { b, events, keeper, ticker } = yield* pair()
      keeper.want(b.peer)
      yield* until(() => keeper.isUp(b.peer))
      ticker.advance(5_000)
      keeper.disconnect(b.peer, new Error("its certificate has ended"))
      yield* until(() => events.length === 3)
      expect(events.map(([what]) => what)).toEqual(["up", "down", "up"])
    })
  )

  it.scopedLive("does nothing any more once it has stopped", () =>
    Effect.gen(function* () {
      const { a, b, dialled, events, keeper, ticker, where } = yield* pair()
      keeper.want(b.peer)
      yield* until(() => keeper.isUp(b.peer))
      keeper.stop()
      yield* cut(b)
      yield* until(() => a.connectionCount() === 0)
      ticker.advance(60_000)
      expect([events.length, dialled.length, keeper.status()]).toEqual([1, 1, []])
      where.addresses = [nowhere]
      yield* Effect.promise(() => expect(keeper.connect(b.peer)).rejects.toThrow())
    })
  )

  it.scopedLive("ends attempts under way when it stops", () =>
    Effect.gen(function* () {
      const { b, keeper, ticker, where } = yield* pair()
      where.addresses = [yield* silent]
      const trying = keeper.connect(b.peer)
      keeper.stop()
      yield* Effect.promise(() => expect(trying).rejects.toThrow("shutting down"))
      ticker.advance(60_000)
      expect(keeper.status()).toEqual([])
    })
  )
})

it.scopedLive("tells all listeners, and libp2p nothing, when one of them throws", () =>
  Effect.gen(function* () {
    const [here, there] = [yield* makeHost(), yield* makeHost()]
    const defects: Array<unknown> = []
    const { keeper, where, events } = yield* keep(here, {
      onDefect: (error, place) => defects.push([place, String(error)])
    })
    const heard: Array<string> = []
    keeper.onUp(() => {
      throw new Error("up")
    })
    keeper.onDown(() => {
      throw new Error("down")
    })
    keeper.onUp(() => heard.push("up"))
    keeper.onDown(() => heard.push("down"))
    where.addresses = there.addresses()
    yield* Effect.promise(() => keeper.connect(there.peer))
    keeper.disconnect(there.peer, new Error("by the test"))
    yield* Effect.promise(() => vi.waitFor(() => expect(heard).toEqual(["up", "down"])))
    expect(events.map(([what]) => what)).toEqual(["up", "down"])
    expect(defects).toEqual([
      ["who hears of the mesh's connections", "Error: up"],
      ["who hears of the mesh's connections", "Error: down"]
    ])
  })
)
