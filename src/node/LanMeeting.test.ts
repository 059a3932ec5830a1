import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { Catalogue } from "../mesh/catalogue/Catalogue.ts"
import { nodeEntry } from "../mesh/catalogue/RecordEntry.ts"
import type { LanPort } from "../mesh/discovery/LanDiscovery.ts"
import { decodeLanMessage, encodeAnswer } from "../mesh/discovery/LanMessage.ts"
import { MeshId, NodeName, type PeerKey } from "../model/Names.ts"
import { alice, bob, ManualTicker } from "../testing/LinkTestPair.ts"
import { peerOf } from "../testing/simulator/mod.ts"
import { LanMeeting, meetOnLan } from "./LanMeeting.ts"

const mesh = MeshId.make("00112233445566778899aabbccddeeff")

const makeMeeting = () => {
  const ticker = new ManualTicker()
  const dialled: Array<PeerKey> = []
  const up = new Set<PeerKey>()
  const dead = new Set<PeerKey>()
  const ends: Array<() => void> = []
  const world = { catalogue: Catalogue.empty }
  const options = {
    ...{ mesh, self: alice, ticker },
    catalogue: () => world.catalogue,
    isDead: (peer: PeerKey) => dead.has(peer),
    keeper: {
      connectedPeers: () => [...up],
      isUp: (peer: PeerKey) => up.has(peer),
      wake: () => undefined,
      reach: (peer: PeerKey) => {
        dialled.push(peer)
        return new Promise<void>((resolve) => ends.push(resolve))
      }
    }
  }
  const record = (peer: PeerKey, state: "serving" | "left" = "serving") => {
    const said = {
      ...{ peer, name: NodeName.make("host"), addresses: [], epoch: 1, version: 1, signedAt: 1 },
      ...{ state, services: [], software: "1" }
    }
    const bytes = new TextEncoder().encode(JSON.stringify(said))
    world.catalogue = world.catalogue.merge(nodeEntry(said, [], bytes))[0]
  }
  return { ticker, dialled, up, dead, ends, options, record, meeting: new LanMeeting(options) }
}

describe("a node that is heard on the LAN", () => {
  it("is dialled by who is alone, does not know it, or takes it for dead", () => {
    const { dead, dialled, meeting, record, ticker, up } = makeMeeting()
    const [known, gone] = [peerOf(1), peerOf(2)]
    record(known)
    record(gone, "left")
    meeting.heard(known)
    expect(dialled).toEqual([known])
    up.add(peerOf(3))
    ticker.advance(10_000)
    for (const peer of [known, gone, peerOf(3), alice]) meeting.heard(peer)
    expect(dialled).toEqual([known])
    meeting.heard(bob)
    expect(dialled).toEqual([known, bob])
    dead.add(known)
    meeting.heard(known)
    expect(dialled).toEqual([known, bob, known])
  })

  it("costs a dial now and then, however often it is heard, and four at a time", async () => {
    const { dialled, ends, meeting, ticker } = makeMeeting()
    for (let n = 0; n < 100; n++) meeting.heard(bob)
    expect(dialled).toEqual([bob])
    for (let n = 0; n < 100; n++) meeting.heard(peerOf(n))
    expect(dialled.length).toBe(4)
    for (const end of ends) end()
    await Promise.resolve()
    await Promise.resolve()
    await Promise.resolve()
    meeting.heard(bob)
    expect(dialled.length).toBe(4)
    ticker.advance(5_000)
    meeting.heard(bob)
    expect(dialled.length).toBe(5)
  })
})

describe("on the LAN a node", () => {
  const start = (listen: ReadonlyArray<string>, addresses: ReadonlyArray<string> = []) => {
    const { options, dialled } = makeMeeting()
    const said: Array<unknown> = []
    const warnings: Array<string> = []
    const lan: LanPort = {
      onMessage: undefined,
      send: (bytes) => said.push(decodeLanMessage(bytes, mesh))
    }
    const scope = Effect.runSync(Scope.make())
    const discovery = Effect.runSync(
      meetOnLan({
        ...options,
        ...{ listen, addresses, lan, warn: (message) => warnings.push(message) }
      }).pipe(Scope.extend(scope))
    )
    const stop = () => Effect.runSync(Scope.close(scope, Exit.void))
    return { discovery, dialled, lan, said, stop, ticker: options.ticker, warnings }
  }

  it("says the port it listens at, where others are is kept, and it says good-bye", () => {
    const { dialled, discovery, lan, said, stop, ticker } = start([
      "/ip6/::/tcp/1",
      "/ip4/0.0.0.0/tcp/4001"
    ])
    ticker.advance(200)
    expect(said).toEqual([
      { kind: "answer", words: [{ peer: alice, port: 4_001, ttl: 900 }] },
      { kind: "question" }
    ])
    lan.onMessage?.(encodeAnswer(mesh, { peer: bob, port: 4_002, ttl: 900 }), "10.0.0.7")
    expect(discovery?.addressesOf(bob)).toEqual(["/ip4/10.0.0.7/tcp/4002"])
    expect(dialled).toEqual([bob])
    stop()
    expect(said.at(-1)).toEqual({ kind: "answer", words: [{ peer: alice, port: 4_001, ttl: 0 }] })
  })

  it("takes the port it was given where the config leaves it to the system", () => {
    const { said, ticker } = start(["/ip4/0.0.0.0/tcp/0"], ["/ip4/10.0.0.1/tcp/40123"])
    ticker.advance(200)
    expect(said[0]).toMatchObject({ words: [{ port: 40_123 }] })
  })

  it("is silent, and says why, when it has no IPv4 address", () => {
    const { discovery, said, ticker, warnings } = start(["/ip6/::/tcp/4001"])
    ticker.advance(5_000)
    expect([discovery, said]).toEqual([undefined, []])
    expect(warnings).toEqual([expect.stringContaining("node.discovery.mdns")])
  })
})
