/** For tests of calls to nodes to which there is no link: a node with an outbound stack and links of its own, and its peers. */
import { type Call, noFields } from "../model/Exchange.ts"
import { MeshViewSource } from "../model/MeshView.ts"
import { NodeName, PeerKey } from "../model/Names.ts"
import { MetricRegistry } from "../request/cells/Metrics.ts"
import { LinkPool } from "../request/link/LinkPool.ts"
import { makeOutbound } from "../request/outbound/Outbound.ts"
import { makePolicy, type PolicyInput } from "../schema/PolicySchema.ts"
import {
  alice,
  bob,
  httpCall,
  ManualTicker,
  Pump,
  payments,
  Recorder,
  Served
} from "./LinkTestPair.ts"
import { MemoryNetwork } from "./MemoryNetwork.ts"
import { endpointView, serviceView } from "./OutboundFixture.ts"
import { RecordingObserver } from "./OutboundRecorders.ts"
import { seededRandom } from "./simulator/EventQueue.ts"

export const carol = PeerKey.make("12D3KooWCaro1Caro1Caro1Caro1Caro1Caro1Caro1Caro1Caro")
const thrown = (error: unknown) => {
  throw error
}

/** Alice calls an endpoint of each of these peers, in turn, over links of her own. */
export const makeMesh = (peers: ReadonlyArray<PeerKey>, policy: PolicyInput = {}) => {
  const pump = new Pump()
  const ticker = new ManualTicker(seededRandom(4))
  const network = new MemoryNetwork({ defer: pump.defer })
  /** Where each call came out that reached a node, since the last look. */
  let reached: Array<PeerKey> = []
  /** What each of them was told. */
  const connectTimes: Array<number | undefined> = []
  /** Milliseconds that the programs take to answer. */
  const programs = { take: 0 }
  const poolOf = (self: PeerKey) => {
    const pool = new LinkPool({
      ...{ transport: network.transport(self), ticker, node: `host-${self.slice(8, 12)}` },
      serve: (call, receiver) => {
        const served = new Served(call, receiver)
        connectTimes.push(call.connectTimeout)
        pump.defer(() => {
          reached.push(self)
          if (programs.take === 0) served.answer("ok")
          else ticker.after(programs.take, () => served.answer("ok"))
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
  return { network, calls, begin, pass, reachedBy, connectTimes, programs, statusOf, offered }
}

export const isCarol = (_: PeerKey, to: PeerKey) => to === carol

/** What is done when it is said. */
export const later = () => {
  let done: () => void = () => undefined
  const whenDone = new Promise<void>((resolve) => {
    done = resolve
  })
  return { whenDone, done: () => done() }
}
