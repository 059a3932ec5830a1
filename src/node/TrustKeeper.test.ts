import { Effect, Either } from "effect"
import { describe, expect, it } from "vitest"
import { sealSetting } from "../../test/fixtures/Settings.ts"
import type { SettingChange } from "../mesh/catalogue/CatalogueChange.ts"
import { furtherKind } from "../mesh/catalogue/FurtherRecord.ts"
import { type SettingEntry, settingEntry } from "../mesh/catalogue/RecordEntry.ts"
import { RecordRefused } from "../mesh/catalogue/RecordRefused.ts"
import { readSetting } from "../mesh/settings/SettingRecord.ts"
import { EnvelopeCache, openEnvelope } from "../mesh/trust/Envelope.ts"
import { enrol, foundMesh } from "../mesh/trust/FoundMesh.ts"
import { everything } from "../mesh/trust/Grant.ts"
import { hearOfRoots, type NodeIdentity } from "../mesh/trust/NodeIdentity.ts"
import type { Revocations } from "../mesh/trust/Revocations.ts"
import { rotateRoot } from "../mesh/trust/RootRotation.ts"
import { signingKeyFromSeed } from "../mesh/trust/SigningKey.ts"
import { NodeName, type PeerKey } from "../model/Names.ts"
import type { SettingBody } from "../model/Setting.ts"
import { type RootBody, rootSettingName, type TrustBody, trustName } from "../schema/TrustSchema.ts"
import { TrustKeeper } from "./TrustKeeper.ts"

const start = 1_800_000_000_000
const right = <A, E>(either: Either.Either<A, E>) => Either.getOrThrow(either)
const key = (n: number) => signingKeyFromSeed(new Uint8Array(32).fill(n))
const first = right(
  foundMesh({
    ...{ rootKey: key(1), privateKey: key(2), meshName: "test", now: start },
    nodeName: NodeName.make("host-a")
  })
)
const member = (by: NodeIdentity, n: number): NodeIdentity =>
  right(
    enrol(by, {
      privateKey: key(n),
      name: NodeName.make(`node-${n}`),
      grant: everything,
      now: start
    })
  )
const [b, c, d] = [member(first, 3), member(first, 4), member(first, 5)]

const entryOf = (bytes: Uint8Array): SettingEntry => {
  const { payload } = right(
    openEnvelope(bytes, {
      ...{ roots: first.roots, now: start, kind: furtherKind, maxBytes: 100_000 },
      skew: Number.POSITIVE_INFINITY
    })
  )
  return settingEntry(right(readSetting(payload)), bytes)
}
const said = (
  by: NodeIdentity,
  body: SettingBody | undefined,
  { at = 0, kind = "trust", name }: { at?: number; kind?: string; name: string }
) => entryOf(sealSetting(by, { body, wall: start + at, kind, name }))
const out = (peer: PeerKey): TrustBody => ({ revoke: "node", peer, stay: [] })
const throwsOut = (by: NodeIdentity, { peer }: NodeIdentity, at = 0) =>
  said(by, { ...out(peer) }, { at, name: trustName(out(peer)) })

/** A keeper of what a made-up catalogue holds, which hears what is added to it. */
const make = (held: ReadonlyArray<SettingEntry> = [], identity = first) => {
  const heard: Array<Revocations> = []
  const roots: Array<ReadonlyArray<Uint8Array>> = []
  const received: Array<Uint8Array> = []
  const cell = { current: identity }
  let tell: (changes: ReadonlyArray<SettingChange>) => void = () => undefined
  const keeper = new TrustKeeper({
    identity: cell,
    catalogue: {
      // Of the catalogue it asks for nothing else.
      current: () => ({ settings: () => held.values() }) as never,
      receive: (bytes) => {
        received.push(bytes)
        return bytes.length === 1
          ? Effect.fail(new RecordRefused({ code: "malformed", message: "no record" }))
          : Effect.succeed("added" as never)
      },
      subscribeSettings: (listener) => {
        tell = listener
        return () => undefined
      }
    },
    cache: new EnvelopeCache(),
    hear: (next) => heard.push(next),
    hearOfRoots: (statements) => roots.push(statements),
    run: Effect.runPromise
  })
  return {
    ...{ keeper, cell, heard, roots, received },
    add: (after: SettingEntry, before?: SettingEntry) => tell([{ before, after }]),
    remove: (before: SettingEntry) => tell([{ before, after: undefined }]),
    outNow: () =>
      heard.at(-1)?.all.flatMap(({ body }) => (body.revoke === "node" ? [body.peer] : []))
  }
}

describe("what was said about trust", () => {
  it("is carried out at once as the catalogue holds it, and from then on as it changes", () => {
    const one = throwsOut(first, b)
    const { add, heard, outNow, remove } = make([one])
    expect(outNow()).toEqual([b.peer])
    expect(heard.at(-1)?.all[0]).toMatchObject({ by: "ann on host-a", at: start })
    add(throwsOut(first, c, 1))
    expect(outNow()).toEqual([b.peer, c.peer])
    add(said(first, undefined, { at: 2, name: trustName(out(b.peer)) }), one)
    expect(outNow()).toEqual([c.peer])
    remove(throwsOut(first, c, 1))
    expect(outNow()).toEqual([])
  })

  it("is nothing where nothing was said, and settings of other kinds are none of it", () => {
    const { add, heard, keeper } = make()
    expect(heard).toEqual([])
    add(said(first, { service: "x", allow: [] }, { kind: "access", name: "x" }))
    expect(heard).toEqual([])
    expect(keeper.records()).toEqual([])
  })

  it("rests on the certificates of who said it: nobody throws out on whose word it is here", () => {
    const under = member(b, 6)
    const { add, outNow } = make([throwsOut(under, b)])
    expect(outNow()).toEqual([])
    add(throwsOut(under, c))
    expect(outNow()).toEqual([c.peer])
  })

  it("in a form of a later version says nothing here, and is passed on", () => {
    const later = said(first, { revoke: "zone", zone: "eu" }, { name: `zone.${"0".repeat(32)}` })
    const { keeper, outNow } = make([later, throwsOut(first, b)])
    expect(outNow()).toEqual([b.peer])
    expect(keeper.records()).toEqual([later.bytes, throwsOut(first, b).bytes])
  })
})

describe("the talk of two nodes", () => {
  it("has one digest for the same, however it came, and another for anything else", () => {
    const [one, two] = [throwsOut(first, b), throwsOut(c, d, 1)]
    const [here, there] = [make([one, two]), make([two])]
    expect(here.keeper.digest()).toHaveLength(16)
    expect(there.keeper.digest()).not.toEqual(here.keeper.digest())
    there.add(one)
    expect(there.keeper.digest()).toEqual(here.keeper.digest())
    there.remove(two)
    expect(there.keeper.digest()).toEqual(make([one]).keeper.digest())
    expect(make().keeper.digest()).not.toEqual(make([one]).keeper.digest())
  })

  it("shows who is out what was said of it, four records at most, and nothing of others", () => {
    const everybody = [first, c, d, member(first, 7), member(first, 8)]
    const { keeper } = make([...everybody.map((by) => throwsOut(by, b)), throwsOut(first, c)])
    expect(keeper.about(b.peer)).toHaveLength(4)
    expect(keeper.about(c.peer)).toEqual([throwsOut(first, c).bytes])
    expect(keeper.about(d.peer)).toEqual([])
  })

  it("takes each record through the door, and is not stopped by one that is refused", async () => {
    const { keeper, received } = make()
    const records = [new Uint8Array(1), throwsOut(first, b).bytes]
    await keeper.take(records)
    expect(received).toEqual(records)
  })
})

describe("what roots have signed", () => {
  const { identity: rotated, statement } = right(rotateRoot(first, key(9), start))
  const body: RootBody = { root: "added", statement: Buffer.from(statement).toString("base64") }
  const brought = said(first, { ...body }, { name: rootSettingName(body) })

  it("is handed on from whichever setting brings it, and revokes nothing", () => {
    const there = make([brought])
    expect(there.roots).toEqual([[statement]])
    expect(there.outNow()).toEqual([])
    const later = make()
    later.add(brought)
    expect(later.roots).toEqual([[statement]])
  })

  it("has everything read anew, since it changes who rests on whom", () => {
    // Whoever is nearer to the root is believed; by the cross-certificate this node is one step further.
    const nearer = first
    const self = right(
      enrol(rotated, {
        privateKey: key(30),
        name: NodeName.make("new"),
        grant: everything,
        now: start
      })
    )
    const { cell, keeper, outNow } = make([throwsOut(nearer, self), throwsOut(self, nearer, 1)])
    expect(outNow()).toEqual([self.peer])
    hearOfRoots(cell, [statement])
    keeper.rootsChanged()
    expect(outNow()).toEqual([self.peer, nearer.peer])
  })
})
