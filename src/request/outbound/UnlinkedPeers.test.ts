/**
 * Endpoints of nodes to which no link can be made: nothing has reached them, so nothing is held against
 * them, and they are called again as soon as there is a link.
 */
import { describe, expect, it } from "vitest"
import { noFields } from "../../model/Exchange.ts"
import { MeshViewSource } from "../../model/MeshView.ts"
import { NodeName, PeerKey } from "../../model/Names.ts"
import { makePolicy, type PolicyInput } from "../../schema/PolicySchema.ts"
import {
  alice,
  bob,
  httpCall,
  ManualTicker,
  Pump,
  payments,
  Recorder,
  Served,
  seeded
} from "../../testing/LinkTestPair.ts"
import { MemoryNetwork } from "../../testing/MemoryNetwork.ts"
import { endpointView, serviceView } from "../../testing/OutboundFixture.ts"
import { RecordingObserver } from "../../testing/OutboundRecorders.ts"
import { MetricRegistry } from "../cells/Metrics.ts"
import { LinkPool } from "../link/LinkPool.ts"
import { makeOutbound } from "./Outbound.ts"

const carol = PeerKey.make("12D3KooWCaro1Caro1Caro1Caro1Caro1Caro1Caro1Caro1Caro")
const thrown = (error: unknown) => {
  throw error
}

/** Alice calls an endpoint of each of these peers, in turn, over links of her own. */
const makeMesh = (peers: ReadonlyArray<PeerKey>, policy: PolicyInput = {}) => {
  const pump = new Pump()
  const ticker = new ManualTicker(seeded(4))
  const network = new MemoryNetwork({ defer: pump.defer })
  /** Where each call came out that reached a node, since the last look. */
  let reached: Array<PeerKey> = []
  const poolOf = (self: PeerKey) => {
    const pool = new LinkPool({
      ...{ transport: network.transport(self), ticker, node: `host-${self.slice(8, 12)}` },
      serve: (call, receiver) => {
        const served = new Served(call, receiver)
        pump.defer(() => {
          reached.push(self)
          served.answer("ok")
        })
        return served
      },
      addressesOf: () => ["/memory/0"],
      defer: pump.defer,
      onDefect: thrown
    })
    pool.listen().catch(thrown)
    return pool
  }
  const [a] = [alice, ...peers].map(poolOf)
  if (a === undefined) throw new Error("alice")
  const view = new MeshViewSource()
  const endpoints = peers.map((peer) =>
    endpointView("x", { key: `${peer}/0`, peer, node: NodeName.make(peer === bob ? "b" : "c") })
  )
  const offered = (by: ReadonlyArray<PeerKey>): void => {
    const theirs = endpoints.filter(({ peer }) => by.includes(peer))
    view.set(new Map([[payments, serviceView(theirs)]]))
  }
  offered(peers)
  const outbound = makeOutbound({
    ...{ self: { peer: alice, node: "host-a" }, view, ticker, policies: new Map() },
    ...{ metrics: new MetricRegistry(), observer: new RecordingObserver(), onDefect: thrown },
    defaultPolicy: makePolicy({ balance: { kind: "round_robin" }, retry: "off", ...policy }),
    local: () => thrown(new Error("nothing is served here")),
    remote: (peer) => a.dispatchTo(peer),
    isDown: (peer) => a.isDown(peer)
  })
  // As RequestPlane does it.
  a.onUp((peer) => outbound.peerUp(peer))
  a.onDown((peer) => outbound.peerDown(peer))
  const settle = async () => {
    for (let quiet = 0; quiet < 4; ) {
      await Promise.resolve()
      quiet = pump.turn() ? 0 : quiet + 1
    }
  }
  /** A call every 50 ms for so long. Gives how many failed, and where the others came out. */
  const calls = async (ms: number) => {
    reached = []
    const all: Array<Recorder> = []
    for (let passed = 0; passed < ms; passed += 50) {
      const receiver = new Recorder()
      all.push(receiver)
      outbound.dispatch({ ...httpCall(), deadline: undefined, attempt: 0 }, receiver).end(noFields)
      await settle()
      ticker.advance(50)
      await settle()
    }
    const failed = all.filter(({ fault }) => fault !== undefined).length
    const [atBob, atCarol] = [bob, carol].map((peer) => reached.filter((it) => it === peer).length)
    return { failed, atBob, atCarol }
  }
  const statusOf = (peer: PeerKey) =>
    outbound.endpoints(payments).find((endpoint) => endpoint.peer === peer)
  return { network, calls, statusOf, offered }
}

const isCarol = (_: PeerKey, to: PeerKey) => to === carol

describe("a node to which there was no link when it was cut off", () => {
  it("is avoided as soon as no link is there in time, and called again once there is one", async () => {
    const { network, calls, statusOf } = makeMesh([bob, carol])
    network.swallows = isCarol
    // Those that wait for the link when it is found that there is none.
    const first = await calls(2_000)
    expect(first.failed).toBeLessThanOrEqual(11)
    expect(await calls(60_000)).toEqual({ failed: 0, atBob: 1_200, atCarol: 0 })
    expect(statusOf(carol)).toMatchObject({ linked: false, timesEjected: 0, breaker: "closed" })
    network.swallows = () => false
    // The attempt under way ends, and a pause, and then there is a link.
    await calls(10_500)
    expect(statusOf(carol)).toMatchObject({ linked: true, timesEjected: 0 })
    expect(await calls(2_000)).toEqual({ failed: 0, atBob: 20, atCarol: 20 })
  })

  it("is avoided still when its endpoints go and come meanwhile", async () => {
    const { network, calls, offered, statusOf } = makeMesh([bob, carol])
    network.swallows = isCarol
    await calls(10_000)
    offered([bob])
    offered([bob, carol])
    expect(statusOf(carol)).toMatchObject({ linked: false, selected: false })
    expect(await calls(10_000)).toEqual({ failed: 0, atBob: 200, atCarol: 0 })
    network.swallows = () => false
    await calls(10_500)
    expect(statusOf(carol)).toMatchObject({ linked: true })
    expect(await calls(2_000)).toEqual({ failed: 0, atBob: 20, atCarol: 20 })
  })

  it("costs nobody a call where calls are tried again", async () => {
    const { network, calls } = makeMesh([bob, carol], { retry: {} })
    network.swallows = isCarol
    expect(await calls(20_000)).toMatchObject({ failed: 0, atCarol: 0 })
    network.swallows = () => false
    await calls(10_500)
    expect(await calls(2_000)).toEqual({ failed: 0, atBob: 20, atCarol: 20 })
  })

  it("is not ejected when nobody else has what is called, nor is its circuit opened", async () => {
    const { network, calls, statusOf } = makeMesh([carol])
    network.swallows = isCarol
    expect((await calls(60_000)).atCarol).toBe(0)
    expect(statusOf(carol)).toMatchObject({ linked: false, timesEjected: 0, breaker: "closed" })
    network.swallows = () => false
    await calls(10_500)
    expect(await calls(2_000)).toMatchObject({ failed: 0, atCarol: 40 })
  })

  it("is avoided at once when it is gone, at the cost of one call", async () => {
    const { network, calls, statusOf } = makeMesh([bob, carol])
    network.reaches = (from, to) => !isCarol(from, to)
    expect(await calls(20_000)).toEqual({ failed: 1, atBob: 399, atCarol: 0 })
    expect(statusOf(carol)).toMatchObject({ linked: false, timesEjected: 0 })
    network.reaches = () => true
    await calls(5_500)
    expect(await calls(2_000)).toEqual({ failed: 0, atBob: 20, atCarol: 20 })
  })
})
