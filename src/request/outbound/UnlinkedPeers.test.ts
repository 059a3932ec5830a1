/**
 * Endpoints of nodes to which no link can be made: nothing has reached them, so nothing is held against
 * them, and they are called again as soon as there is a link.
 */
import { describe, expect, it } from "vitest"
import { type Call, noFields } from "../../model/Exchange.ts"
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
  Served
} from "../../testing/LinkTestPair.ts"
import { MemoryNetwork } from "../../testing/MemoryNetwork.ts"
import { endpointView, serviceView } from "../../testing/OutboundFixture.ts"
import { RecordingObserver } from "../../testing/OutboundRecorders.ts"
import { seededRandom } from "../../testing/simulator/EventQueue.ts"
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
  const ticker = new ManualTicker(seededRandom(4))
  const network = new MemoryNetwork({ defer: pump.defer })
  /** Where each call came out that reached a node, since the last look. */
  let reached: Array<PeerKey> = []
  /** What each of them was told. */
  const connectTimes: Array<number | undefined> = []
  const poolOf = (self: PeerKey) => {
    const pool = new LinkPool({
      ...{ transport: network.transport(self), ticker, node: `host-${self.slice(8, 12)}` },
      serve: (call, receiver) => {
        const served = new Served(call, receiver)
        connectTimes.push(call.connectTimeout)
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
  /** One call. */
  const begin = (how: Partial<Call> = {}): Recorder => {
    const receiver = new Recorder()
    const call = { ...httpCall(), deadline: undefined, attempt: 0, ...how }
    outbound.dispatch(call, receiver).end(noFields)
    return receiver
  }
  const pass = async (ms: number) => {
    await settle()
    for (let passed = 0; passed < ms; passed += 50) {
      ticker.advance(50)
      await settle()
    }
  }
  const reachedBy = (peer: PeerKey) => reached.filter((it) => it === peer).length
  const statusOf = (peer: PeerKey) =>
    outbound.endpoints(payments).find((endpoint) => endpoint.peer === peer)
  return { network, calls, begin, pass, reachedBy, connectTimes, statusOf, offered }
}

const isCarol = (_: PeerKey, to: PeerKey) => to === carol

/** What is done when it is said. */
const later = () => {
  let done: () => void = () => undefined
  const whenDone = new Promise<void>((resolve) => {
    done = resolve
  })
  return { whenDone, done: () => done() }
}

describe("a node that is late with a link, having just been started", () => {
  it("is waited for where nobody else has what is called", async () => {
    const { begin, network, pass } = makeMesh([carol])
    const { done, whenDone } = later()
    network.answers = () => whenDone
    const waits = begin()
    await pass(3_000)
    // Others that come meanwhile wait as well.
    const came = begin()
    await pass(1_500)
    expect([waits.over, came.over]).toEqual([false, false])
    done()
    await pass(0)
    expect([waits.text, came.text]).toEqual(["ok", "ok"])
  })

  it("is waited for as long as the attempt goes on, and no longer", async () => {
    const { begin, network, pass } = makeMesh([carol])
    network.swallows = isCarol
    const waits = begin()
    await pass(4_900)
    expect(waits.over).toBe(false)
    await pass(200)
    expect(waits.fault).toMatchObject({ code: "upstream_connect", sent: false })
    const came = begin()
    await pass(0)
    expect(came.fault).toMatchObject({ code: "upstream_connect", sent: false })
  })

  it("is waited for no longer than the call has time", async () => {
    const { begin, network, pass } = makeMesh([carol])
    network.swallows = isCarol
    const [hasty, patient] = [begin({ deadline: 1_500 }), begin({ deadline: 3_000 })]
    await pass(1_600)
    expect(hasty.fault?.code).toBe("upstream_timeout")
    expect(patient.over).toBe(false)
    await pass(1_500)
    expect(patient.fault?.code).toBe("upstream_timeout")
  })

  it("is left after a second where calls may go elsewhere", async () => {
    const { begin, network, pass, reachedBy } = makeMesh([bob, carol], { retry: {} })
    network.swallows = isCarol
    const [one, other] = [begin(), begin()]
    await pass(950)
    expect([one.over, other.over].filter((over) => over)).toHaveLength(1)
    await pass(100)
    expect([one.text, other.text]).toEqual(["ok", "ok"])
    expect(reachedBy(bob)).toBe(2)
  })

  it("is waited for where calls may go elsewhere, and no second attempt is to be made", async () => {
    const { begin, network, pass } = makeMesh([bob, carol])
    const { done, whenDone } = later()
    network.answers = (_, to) => (to === carol ? whenDone : undefined)
    const both = [begin(), begin()]
    await pass(2_000)
    done()
    await pass(0)
    expect(both.map(({ text }) => text)).toEqual(["ok", "ok"])
  })

  it("is left for another that was late as well, and has a link sooner", async () => {
    const { begin, network, pass, reachedBy } = makeMesh([bob, carol], { retry: {} })
    const { done, whenDone } = later()
    network.swallows = isCarol
    network.answers = () => whenDone
    const both = [begin(), begin()]
    await pass(2_100)
    expect(both.map(({ over }) => over)).toEqual([false, false])
    done()
    await pass(1_000)
    expect(both.map(({ text }) => text)).toEqual(["ok", "ok"])
    expect(reachedBy(bob)).toBe(2)
  })

  it("has the program's connection take all of its time, however long the link took", async () => {
    const { begin, connectTimes, network, pass } = makeMesh([carol])
    const { done, whenDone } = later()
    network.answers = () => whenDone
    begin()
    await pass(1_700)
    done()
    await pass(0)
    expect(connectTimes).toEqual([1_000])
  })

  it("is not waited for by who named the endpoint, who knows when to ask again", async () => {
    const { begin, network, pass } = makeMesh([carol])
    network.swallows = isCarol
    const named = begin({ only: `${carol}/0` })
    await pass(1_050)
    expect(named.fault).toMatchObject({ code: "upstream_connect", sent: false })
  })
})

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
