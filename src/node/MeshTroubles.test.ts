import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, Logger } from "effect"
import { signers, write } from "../../test/fixtures/Settings.ts"
import { MeshFindings } from "../mesh/catalogue/MeshFindings.ts"
import { nodeEntry } from "../mesh/catalogue/RecordEntry.ts"
import { RecordRefused } from "../mesh/catalogue/RecordRefused.ts"
import { RefusedRecords } from "../mesh/catalogue/RefusedRecords.ts"
import type { ProtocolConflict } from "../mesh/catalogue/ServiceOffers.ts"
import { type SettledName, settle } from "../mesh/settings/SettledName.ts"
import type { OverusedInvite } from "../mesh/trust/InviteUses.ts"
import { PeerConduct } from "../mesh/trust/PeerConduct.ts"
import { Roots } from "../mesh/trust/Roots.ts"
import { NodeName, PeerKey, ServiceName } from "../model/Names.ts"
import { ManualTicker } from "../testing/LinkTestPair.ts"
import { MeshTroubles, tellTroubles } from "./MeshTroubles.ts"

const payments = ServiceName.make("payments")
const [a, b] = [NodeName.make("host-a"), NodeName.make("host-b")]
const conflict: ProtocolConflict = {
  service: payments,
  used: "http",
  said: [
    { node: a, protocol: "http" },
    { node: b, protocol: "tcp" }
  ]
}

const makeTroubles = () => {
  const world = {
    now: 1_000_000,
    areNamed: true,
    conflicts: [] as ReadonlyArray<ProtocolConflict>,
    contested: 3,
    full: 0,
    furtherFull: 0,
    settings: [] as ReadonlyArray<SettledName>,
    overused: [] as ReadonlyArray<OverusedInvite>,
    found: new MeshFindings(() => "alive"),
    refused: new RefusedRecords(),
    conduct: new PeerConduct({ now: () => 0 }),
    taken: new Map<string, string>(),
    thrownOut: undefined as string | undefined,
    leftBehind: undefined as string | undefined
  }
  const troubles = new MeshTroubles({
    name: () => a,
    found: world.found,
    status: () => ({
      ...{ records: 2, bytes: 2, epoch: 1, version: 1 },
      ...{ refusedFull: world.full, contested: world.contested },
      further: { records: 4_096, refusedFull: world.furtherFull },
      settings: { records: 0, bytes: 0, refusedFull: 0 }
    }),
    conflicts: () => world.conflicts,
    settings: () => world.settings,
    overused: () => world.overused,
    refused: world.refused,
    conduct: world.conduct,
    taken: (node, service) => world.taken.get(`${node}/${service}`),
    thrownOut: () => world.thrownOut,
    leftBehind: () => world.leftBehind,
    roots: () => Roots.founded(new Uint8Array(32)),
    nameOf: (peer) => (world.areNamed ? `name-of-${peer.slice(-1)}` : peer),
    now: () => world.now
  })
  const door = (code: RecordRefused["code"]) =>
    world.refused.watch({
      seal: () => Either.left(new RecordRefused({ code, message: "ours" })),
      recall: () => Either.left(new RecordRefused({ code, message: "on disk" })),
      admit: () => Either.left(new RecordRefused({ code, message: "the signature is wrong" }))
    })
  const news = () => {
    const { appeared, gone } = troubles.news()
    return [
      ...appeared.map(({ kind }) => kind),
      ...gone.map(({ kind }) => `no longer ${kind}` as const)
    ]
  }
  return { world, troubles, door, news }
}

describe("troubles of the mesh", () => {
  it("say that this node was thrown out, by whom and why", () => {
    const { news, troubles, world } = makeTroubles()
    world.thrownOut = "host-a was thrown out of the mesh by ops on host-b: its disk was stolen"
    expect(news()).toEqual(["thrown_out"])
    expect(troubles.findings()[0]?.message).toBe(
      "this node does not belong to the mesh any more: host-a was thrown out of the mesh by ops on host-b: its disk was stolen"
    )
  })

  it("name members that misbehave, and say when one is cut off", () => {
    const { troubles, world } = makeTroubles()
    const peer = PeerKey.make("12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5")
    for (let n = 0; n < 3; n++) world.conduct.note(peer, "forged")
    expect(troubles.findings()).toMatchObject([
      {
        kind: "peer_misbehaves",
        nodes: ["name-of-5"],
        message: `name-of-5 (${peer}) is behaving badly: it passed on what nobody has signed (3)`
      }
    ])
    // When it is gone, so may its name be.
    world.areNamed = false
    expect(troubles.findings()).toMatchObject([
      { nodes: [], message: `${peer} is behaving badly: it passed on what nobody has signed (3)` }
    ])
    world.areNamed = true
    for (let n = 0; n < 7; n++) world.conduct.note(peer, "garbage")
    expect(troubles.findings()[0]?.message).toBe(
      `name-of-5 (${peer}) is cut off from this node for ten minutes: it passed on what nobody has signed (3), sent what is not the mesh's language (7)`
    )
  })

  it("are told once, and once when they are over", () => {
    const { world, news } = makeTroubles()
    expect(news()).toEqual([])
    world.conflicts = [conflict]
    expect(news()).toEqual(["protocol_conflict"])
    world.now += 3_600_000
    expect(news()).toEqual([])
    world.conflicts = []
    expect(news()).toEqual([])
    world.now += 60_000
    expect(news()).toEqual(["no longer protocol_conflict"])
    world.now += 60_000
    expect(news()).toEqual([])
  })

  it("that come and go within a minute are told once", () => {
    const { world, news } = makeTroubles()
    const told = Array.from({ length: 100 }, (_, n) => {
      world.conflicts = n % 2 === 0 ? [conflict] : []
      world.now += 2_000
      return news()
    }).flat()
    expect(told).toEqual(["protocol_conflict"])
  })

  it("of one's own key and of a full catalogue: when they grow, for a while", () => {
    const { world, news, troubles } = makeTroubles()
    // Three from before: a start after a kill meets what it had said itself.
    expect(news()).toEqual([])
    world.contested++
    world.full++
    // Of the first the catalogue has told the log itself.
    expect(news()).toEqual(["catalogue_full"])
    world.now += 299_000
    expect(troubles.findings().length).toBe(2)
    world.now += 2_000
    expect(troubles.findings()).toEqual([])
  })

  it("of records that are not believed, but not of those that time has ended", () => {
    const { world, door, troubles } = makeTroubles()
    expect(Either.isLeft(door("forged").admit(new Uint8Array(), world.now))).toBe(true)
    door("forged").admit(new Uint8Array(), world.now)
    door("too_old").admit(new Uint8Array(), world.now)
    expect(troubles.findings()).toMatchObject([
      {
        kind: "records_refused",
        message: "records from the mesh are not believed (forged, 2 so far): the signature is wrong"
      }
    ])
    expect(Array.from(world.refused.kinds, ([code, { count }]) => [code, count])).toEqual([
      ["forged", 2],
      ["too_old", 1]
    ])
    world.now += 300_000
    expect(troubles.findings()).toEqual([])
  })

  it("of what a newer version says and this one cannot read or keep", () => {
    const { world, door, troubles, news } = makeTroubles()
    expect(news()).toEqual([])
    door("unreadable").admit(new Uint8Array(), world.now)
    world.furtherFull++
    expect(news()).toEqual(["records_refused", "catalogue_full"])
    expect(troubles.findings().map(({ message }) => message)).toEqual([
      expect.stringContaining("(unreadable, 1 so far)"),
      expect.stringContaining("no room for more than 4096 records of kinds")
    ])
  })

  it("of settings that two changed apart, each for as long as nobody settles it", () => {
    const { world, troubles, news } = makeTroubles()
    const [left, right] = [signers[0]!, signers[1]!].map((by, index) =>
      write(by, [], { body: { retry: { attempts: index } }, wall: world.now + index })
    )
    world.settings = [settle([left!, right!])]
    expect(news()).toEqual(["setting_conflict"])
    expect(troubles.findings()).toMatchObject([
      {
        nodes: ["host-b", "host-a"],
        message:
          "policy payments was set apart by ann on host-b, which is the later and holds, and by ann on host-a"
      }
    ])
    world.settings = []
    world.now += 60_000
    expect(news()).toEqual(["no longer setting_conflict"])
  })

  it("say why a service that somebody means to offer is missing", () => {
    const { world, troubles } = makeTroubles()
    expect(troubles.whyMissing(payments)).toBeUndefined()
    const record = {
      ...{ peer: PeerKey.make("12D3KooWPeerPeerPeer1"), name: b, addresses: [], services: [] },
      ...{ epoch: 1, version: 1, signedAt: 1, state: "serving" as const, software: "skein/test" }
    }
    const held = nodeEntry(record, [payments], new Uint8Array(1))
    world.found.records([{ before: undefined, after: held }])
    expect(troubles.whyMissing(payments)).toBe(
      "host-b offers it, but its certificate does not grant it"
    )
    expect(troubles.findings()).toMatchObject([{ kind: "service_not_granted", service: payments }])
    world.taken.set("host-b/payments", "payments was taken from host-b by ops")
    expect(troubles.whyMissing(payments)).toBe("payments was taken from host-b by ops")
    expect(troubles.findings()).toMatchObject([
      {
        message: expect.stringMatching(/sends calls there: payments was taken from host-b by ops$/),
        hint: expect.stringContaining("`skein revoke` lists")
      }
    ])
    world.thrownOut = "host-a was thrown out of the mesh by ops"
    expect(troubles.whyMissing(payments)).toBe("host-a was thrown out of the mesh by ops")
    world.thrownOut = undefined
    world.found.records([{ before: held, after: undefined }])
    expect(troubles.whyMissing(payments)).toBeUndefined()
  })
})

it.effect("the log is told of troubles every two seconds, also after a look that broke", () => {
  const lines: Array<unknown> = []
  const logger = Logger.make(({ message }) => lines.push(...[message].flat()))
  return Effect.gen(function* () {
    const ticker = new ManualTicker()
    const { troubles, world } = makeTroubles()
    let breaks = false
    const news = () => {
      if (breaks) throw new Error("a bug")
      return troubles.news()
    }
    yield* Effect.scoped(
      Effect.gen(function* () {
        yield* tellTroubles({ news }, ticker)
        world.conflicts = [conflict]
        ticker.advance(1_990)
        expect(lines).toEqual([])
        ticker.advance(10)
        expect(lines.length).toBe(1)
        expect(lines[0]).toContain("payments")
        breaks = true
        ticker.advance(2_000)
        expect(lines[1]).toBe("the look for troubles failed")
        breaks = false
        world.conflicts = []
        world.now += 60_000
        ticker.advance(2_000)
        expect(lines.at(-1)).toContain("no longer so: ")
      })
    )
    const told = lines.length
    world.conflicts = [conflict]
    ticker.advance(10_000)
    expect(lines.length).toBe(told)
  }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
})
