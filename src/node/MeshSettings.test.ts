import { expect, it } from "@effect/vitest"
import { Effect, Layer, TestClock } from "effect"
import { Catalogues } from "../../test/fixtures/Catalogues.ts"
import { makeMembers } from "../../test/fixtures/Members.ts"
import type { CatalogueShape } from "../mesh/catalogue/CatalogueService.ts"
import { CatalogueStore } from "../mesh/catalogue/CatalogueStore.ts"
import { makeRecordDoor } from "../mesh/catalogue/RecordDoor.ts"
import { maxAhead } from "../mesh/catalogue/RecordTime.ts"
import { settingLifetimes } from "../mesh/settings/SettledName.ts"
import { everything } from "../mesh/trust/Grant.ts"
import { NodeName } from "../model/Names.ts"
import { type SettingBody, settingLimits } from "../model/Setting.ts"
import { MemoryBus } from "../testing/MemoryGossip.ts"
import { MeshSettings, settingJudge } from "./MeshSettings.ts"

const start = 1_800_000_000_000
const members = makeMembers(3, start, everything)
/** Of the same mesh, and without any right but to be there. */
const plain = makeMembers(2, start)[1]!
const alone = () => new MemoryBus().layer()
const settle = TestClock.adjust(1)

interface MeshOptions {
  readonly doors?: ConstructorParameters<typeof Catalogues>[2]
  readonly identities?: typeof members
}

const makeMesh = ({ identities = members, doors }: MeshOptions = {}) =>
  Effect.gen(function* () {
    yield* TestClock.setTime(start)
    const stores = yield* Effect.all(identities.map(() => Layer.build(CatalogueStore.layerMemory)))
    const knowing: typeof doors = (identity) =>
      makeRecordDoor({ current: identity }, { settings: settingJudge })
    return new Catalogues(identities, stores, doors ?? knowing)
  })

const settingsOf = (
  catalogue: CatalogueShape,
  identity = members[0]!,
  broken: Array<string> = [],
  told: Array<string> = []
) =>
  new MeshSettings({
    identity: { current: identity },
    catalogue,
    holders: () => [NodeName.make("host-0")],
    onDefect: (error) => broken.push(String(error)),
    onWritten: ({ body, node }, holds) =>
      told.push(`${node} ${JSON.stringify(body)}${holds ? "" : ", which does not hold"}`)
  })

const set = (settings: MeshSettings, body: SettingBody | undefined, name = "payments") =>
  settings.write({ kind: "policy", name, body, author: "ann", why: undefined })

const bodies = (settings: MeshSettings) =>
  Array.from(settings.view().get("policy") ?? [], ([name, { body }]) => [name, body])

const retries = (attempts: number) => ({ retry: { attempts } })

it.scoped("what is set on one node holds on another at once, and who asked hears of it", () =>
  Effect.gen(function* () {
    const mesh = yield* makeMesh()
    const a = settingsOf(yield* mesh.node(0), members[0])
    const broken: Array<string> = []
    const b = settingsOf(yield* mesh.node(1), members[1], broken)
    const heard: Array<unknown> = []
    b.subscribe("policy", () => {
      throw new Error("a bug")
    })
    const stop = b.subscribe("policy", (ofKind) => heard.push(ofKind.get("payments")?.body))
    b.subscribe("access", () => heard.push("access"))
    expect(heard).toEqual([undefined, "access"])
    expect(yield* set(a, retries(3))).toMatchObject({ epoch: start, version: 0, author: "ann" })
    yield* settle
    yield* set(b, undefined)
    yield* settle
    stop()
    yield* set(a, retries(5))
    yield* settle
    expect(heard).toEqual([undefined, "access", retries(3), undefined])
    expect(bodies(a)).toEqual([["payments", retries(5)]])
    expect(bodies(b)).toEqual(bodies(a))
    expect(broken).toHaveLength(4)
  })
)

it.scoped("two sides of a partition change one name: both show both, until it is settled", () =>
  Effect.gen(function* () {
    const mesh = yield* makeMesh()
    const nodes = [yield* mesh.node(0, alone()), yield* mesh.node(1, alone())] as const
    const told: Array<string> = []
    const [a, b] = [settingsOf(nodes[0], members[0], [], told), settingsOf(nodes[1], members[1])]
    const heal = nodes[0].syncWith(members[1]!.peer)
    yield* set(a, retries(1))
    yield* heal
    yield* set(a, retries(2))
    yield* settle
    yield* set(b, retries(3))
    expect([bodies(a), bodies(b)]).toEqual([[["payments", retries(2)]], [["payments", retries(3)]]])
    yield* heal
    for (const settings of [a, b]) {
      expect(bodies(settings)).toEqual([["payments", retries(3)]])
      expect(settings.view().get("policy")?.get("payments")?.conflict).toMatchObject([
        { body: retries(2), node: "host-0" }
      ])
    }
    expect(a.table.conflicts()).toEqual(b.table.conflicts())
    // Each version was told once, from wherever it came.
    expect(told).toEqual(
      [
        ["0", 1],
        ["0", 2],
        ["1", 3]
      ].map(([node, n]) => `host-${node} {"retry":{"attempts":${n}}}`)
    )
    yield* set(a, retries(2))
    yield* heal
    for (const settings of [a, b]) {
      expect(bodies(settings)).toEqual([["payments", retries(2)]])
      expect(settings.table.conflicts()).toEqual([])
      expect(settings.table.history("policy", "payments").map(({ body }) => body)).toEqual([
        retries(2),
        retries(3),
        retries(2),
        retries(1)
      ])
    }
  })
)

it.scoped("a restart keeps what was set, also what others set and that is deleted", () =>
  Effect.gen(function* () {
    const mesh = yield* makeMesh()
    const a = yield* mesh.node(0, alone())
    yield* set(settingsOf(a), retries(1))
    yield* set(settingsOf(a), retries(1), "orders")
    yield* Effect.scoped(
      Effect.gen(function* () {
        const b = yield* mesh.node(1, alone())
        yield* a.syncWith(members[1]!.peer)
        yield* set(settingsOf(b, members[1]), undefined, "orders")
      })
    )
    const b = settingsOf(yield* mesh.node(1, alone()), members[1])
    expect(bodies(b)).toEqual([["payments", retries(1)]])
    expect(b.table.settled("policy", "orders")?.inForce.body).toBeUndefined()
  })
)

it.scoped("nodes of the last release keep settings and pass them on", () =>
  Effect.gen(function* () {
    const mesh = yield* makeMesh({
      doors: (identity) =>
        makeRecordDoor(
          { current: identity },
          identity === members[1] ? {} : { settings: settingJudge }
        )
    })
    const nodes = [
      yield* mesh.node(0, alone()),
      yield* mesh.node(1, alone()),
      yield* mesh.node(2, alone())
    ] as const
    const [a, c] = [settingsOf(nodes[0], members[0]), settingsOf(nodes[2], members[2])]
    const through = Effect.all([
      nodes[0].syncWith(members[1]!.peer),
      nodes[2].syncWith(members[1]!.peer),
      nodes[0].syncWith(members[1]!.peer)
    ])
    yield* set(a, retries(1))
    yield* through
    expect(nodes[1].status()).toMatchObject({ further: { records: 1 }, settings: { records: 0 } })
    expect(bodies(c)).toEqual([["payments", retries(1)]])
    yield* set(c, undefined)
    yield* through
    expect(bodies(a)).toEqual([])
    for (const { current } of nodes) expect(current().root()).toEqual(nodes[0].current().root())
  })
)

it.scoped("what stands for months holds, and what was deleted is forgotten in the end", () =>
  Effect.gen(function* () {
    const mesh = yield* makeMesh()
    /** Nobody lives through the time between: there are too many seconds in a month. */
    const at = <A>(time: number, look: (settings: MeshSettings) => Effect.Effect<A, unknown>) =>
      Effect.scoped(
        Effect.gen(function* () {
          yield* TestClock.setTime(time)
          const settings = settingsOf(yield* mesh.node(0, alone()))
          // Within a minute it is looked for what is over.
          yield* TestClock.adjust("61 seconds")
          return yield* look(settings)
        })
      )
    const names = (settings: MeshSettings) =>
      Effect.succeed(settings.table.all().map(({ name }) => name))
    const written = start + 61_000
    yield* at(start, (settings) =>
      Effect.all([
        set(settings, retries(1)),
        set(settings, retries(1), "orders"),
        set(settings, undefined, "orders")
      ])
    )
    const { deleted } = settingLifetimes
    expect(yield* at(written + deleted - 120_000, names)).toEqual(["orders", "payments"])
    expect(yield* at(written + deleted, names)).toEqual(["payments"])
    expect(yield* at(written + 12 * deleted, names)).toEqual(["payments"])
  })
)

it.scoped("says why something cannot be set from here, and signs nothing", () =>
  Effect.gen(function* () {
    const identities = [members[0]!, plain]
    const mesh = yield* makeMesh({ identities })
    const node = yield* mesh.node(0)
    const a = settingsOf(node)
    const b = settingsOf(yield* mesh.node(1), plain)
    const large = { retry: "off", text: "x".repeat(settingLimits.body) }
    const codes = yield* Effect.all([
      Effect.flip(set(b, retries(1))),
      Effect.flip(set(a, { retires: "off" })),
      Effect.flip(set(a, retries(1), "Payments")),
      Effect.flip(set(a, retries(1), "pay.ments")),
      Effect.flip(set(a, undefined)),
      Effect.flip(set(a, large)),
      Effect.flip(a.write({ kind: "polices", name: "x", body: {}, author: "ann", why: undefined }))
    ])
    expect(codes.map(({ code }) => code)).toEqual([
      ...["not_granted", "invalid", "invalid", "invalid", "not_there", "invalid", "unknown_kind"]
    ])
    expect(codes[0]).toMatchObject({
      message: expect.stringContaining("does not grant the capability policy"),
      hint: expect.stringContaining("Do it on host-0")
    })
    expect(codes[1]?.message).toContain("did you mean retry?")
    const trust = { kind: "trust", body: undefined, author: "ann", why: undefined }
    for (const name of ["nosuch", `node.${"0".repeat(32)}`]) {
      expect(yield* Effect.flip(a.write({ ...trust, name }))).toMatchObject({
        ...{ code: "not_there", message: `there is no trust ${name}` },
        hint: expect.stringContaining("`skein revoke` lists what is revoked")
      })
    }
    expect(node.status().settings.records).toBe(0)
  })
)

it.scoped("who was told of times far ahead of its clock says that its clock is behind", () =>
  Effect.gen(function* () {
    const mesh = yield* makeMesh()
    const a = settingsOf(yield* mesh.node(0))
    yield* set(a, retries(1))
    yield* TestClock.setTime(start - maxAhead - 1)
    expect(yield* Effect.flip(set(a, retries(2)))).toMatchObject({ code: "clock_behind" })
    yield* TestClock.setTime(start - maxAhead)
    expect(yield* set(a, retries(2))).toMatchObject({ epoch: start, version: 1 })
  })
)
