import { describe, expect, it } from "vitest"
import { MeshId, PeerKey } from "../../model/Names.ts"
import { ManualTicker } from "../../testing/LinkTestPair.ts"
import { seededRandom } from "../../testing/simulator/EventQueue.ts"
import { LanDiscovery, type LanPort } from "./LanDiscovery.ts"
import { decodeLanMessage, encodeAnswer } from "./LanMessage.ts"
import { LanNeighbours, neighbourLimits } from "./LanNeighbours.ts"

const mesh = MeshId.make("00112233445566778899aabbccddeeff")
const foreign = MeshId.make("ffeeddccbbaa99887766554433221100")
const letters = "ABCDEFGHJKLMNPQRSTUVWXYZ"
const peerOf = (index: number) =>
  PeerKey.make(
    `12D3KooW${Array.from(`${index}`.padStart(44, "0"), (digit) => letters[Number(digit)]).join("")}`
  )
const ipOf = (index: number) => `10.0.${index >> 8}.${index & 255}`

/** Hosts on one LAN, where everything reaches everybody, the speaker included. */
const makeLan = () => {
  const ticker = new ManualTicker(seededRandom(9))
  const ports: Array<LanPort> = []
  const said: Array<{ readonly kind: string; readonly by: number; readonly at: number }> = []
  const join = (index: number, isAlone: () => boolean = () => false, ofMesh = mesh) => {
    const heard: Array<PeerKey> = []
    const lan: LanPort = {
      onMessage: undefined,
      send: (bytes) => {
        said.push({
          kind: decodeLanMessage(bytes, ofMesh)?.kind ?? "?",
          by: index,
          at: ticker.now()
        })
        for (const port of ports) port.onMessage?.(bytes, ipOf(index))
      }
    }
    ports.push(lan)
    const discovery = new LanDiscovery({
      ...{ mesh: ofMesh, self: peerOf(index), port: 4_001, lan, ticker, isAlone },
      onHeard: (peer) => heard.push(peer)
    })
    return { discovery, heard, lan }
  }
  const count = (kind: string, since = 0) =>
    said.filter((it) => it.kind === kind && it.at >= since).length
  return { ticker, join, count, said }
}

const addressOf = (index: number) => `/ip4/${ipOf(index)}/tcp/4001`

describe("nodes of a mesh on one LAN", () => {
  it("hear of each other, and of no other mesh", () => {
    const { ticker, join } = makeLan()
    const a = join(1)
    const stranger = join(3, () => true, foreign)
    ticker.advance(3_000)
    const b = join(2, () => true)
    ticker.advance(3_000)
    expect(a.discovery.addressesOf(peerOf(2))).toEqual([addressOf(2)])
    // By its question: what a had said was before b listened.
    expect(b.discovery.addressesOf(peerOf(1))).toEqual([addressOf(1)])
    expect(new Set([...a.heard, ...b.heard])).toEqual(new Set([peerOf(1), peerOf(2)]))
    expect(stranger.heard).toEqual([])
  })

  it("are asked for by who is alone, more and more seldom, and by nobody else", () => {
    const { ticker, join, count, said } = makeLan()
    let alone = true
    join(1, () => alone)
    ticker.advance(600_000)
    const asked = said.filter(({ kind }) => kind === "question").map(({ at }) => at)
    expect(asked.length).toBeGreaterThan(10)
    expect(asked.length).toBeLessThan(20)
    expect(asked.at(-1)! - asked.at(-2)!).toBeGreaterThan(40_000)
    alone = false
    ticker.advance(60_000)
    const before = ticker.now()
    ticker.advance(3_600_000)
    expect(count("question", before)).toBe(0)
    // A word every five minutes or so, for those who listen.
    expect(count("answer", before)).toBeLessThan(17)
    expect(count("answer", before)).toBeGreaterThan(8)
    // And from the moment it is alone again it asks.
    alone = true
    const since = ticker.now()
    ticker.advance(10_000)
    expect(count("question", since)).toBeGreaterThan(0)
  })

  it("do not all answer one who asks", () => {
    const { ticker, join, count } = makeLan()
    for (let index = 0; index < 200; index++) join(index)
    ticker.advance(3_000)
    const since = ticker.now()
    const newcomer = join(200, () => true)
    ticker.advance(1_500)
    expect(newcomer.heard.length).toBeGreaterThanOrEqual(8)
    // Of the 200, and two words of the newcomer's own.
    expect(count("answer", since)).toBeLessThan(40)
  })

  it("are forgotten when they say good-bye, or nothing for a quarter of an hour", () => {
    const { ticker, join } = makeLan()
    const a = join(1)
    const [b, c] = [join(2), join(3)]
    ticker.advance(3_000)
    b.discovery.stop()
    expect(a.discovery.addressesOf(peerOf(2))).toEqual([])
    expect(a.discovery.addressesOf(peerOf(3))).toEqual([addressOf(3)])
    c.lan.send = () => undefined
    ticker.advance(910_000)
    expect(a.discovery.addressesOf(peerOf(3))).toEqual([])
  })

  it("are known where they are now, when they have moved", () => {
    const { ticker, join } = makeLan()
    const a = join(1)
    ticker.advance(10)
    for (const index of [20, 21, 22, 23, 24, 25]) {
      a.lan.onMessage?.(encodeAnswer(mesh, { peer: peerOf(2), port: 4_001, ttl: 900 }), ipOf(index))
    }
    expect(a.discovery.addressesOf(peerOf(2))).toEqual([25, 24, 23, 22].map(addressOf))
  })
})

describe("who makes up nodes", () => {
  it("fills a table that has an end, for no longer than its words hold", () => {
    const neighbours = new LanNeighbours()
    const { peers } = neighbourLimits
    for (let index = 0; index < 10 * peers; index++) {
      const kept = neighbours.heard(peerOf(index), addressOf(1), 1_000, 0)
      expect(kept).toBe(index < peers)
    }
    expect(neighbours.size).toBe(peers)
    expect(neighbours.heard(peerOf(5), addressOf(2), 2_000, 500)).toBe(true)
    expect(neighbours.heard(peerOf(99_999), addressOf(3), 2_000, 1_001)).toBe(true)
    expect(neighbours.size).toBe(2)
    expect(neighbours.addressesOf(peerOf(5), 1_001)).toEqual([addressOf(2)])
  })
})
