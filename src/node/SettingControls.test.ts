import { expect, it } from "@effect/vitest"
import { Effect, Layer, TestClock } from "effect"
import { Catalogues } from "../../test/fixtures/Catalogues.ts"
import { makeMembers } from "../../test/fixtures/Members.ts"
import { CatalogueStore } from "../mesh/catalogue/CatalogueStore.ts"
import { makeRecordDoor } from "../mesh/catalogue/RecordDoor.ts"
import { everything } from "../mesh/trust/Grant.ts"
import { layerPolicies } from "../schema/LayeredPolicy.ts"
import { MemoryBus } from "../testing/MemoryGossip.ts"
import { MeshSettings, settingJudge } from "./MeshSettings.ts"
import { makeSettingControls } from "./SettingControls.ts"
import type { WantedVersion } from "./SettingSpread.ts"

const start = 1_800_000_000_000
const members = makeMembers(2, start, everything)

const makeNode = (index: number, mesh: Catalogues, bus: MemoryBus) =>
  Effect.gen(function* () {
    const identity = members[index]!
    const catalogue = yield* mesh.node(index, bus.layer())
    const settings = new MeshSettings({
      ...{ identity: { current: identity }, catalogue, holders: () => [], onDefect: () => {} }
    })
    const asked: Array<WantedVersion> = []
    const controls = makeSettingControls({
      settings,
      spread: (wanted) =>
        Effect.sync(() => {
          asked.push(...wanted)
          return { seen: [], missing: [members[1]!.peer], away: [] }
        }),
      policies: { explain: () => layerPolicies([]) },
      protocolOf: (service) => (service === "ledger" ? "tcp" : undefined),
      nameOf: (peer) => members.find((one) => one.peer === peer)?.name ?? peer
    })
    return { asked, catalogue, controls, settings }
  })

const makeMesh = Effect.gen(function* () {
  yield* TestClock.setTime(start)
  const stores = yield* Effect.all(members.map(() => Layer.build(CatalogueStore.layerMemory)))
  return new Catalogues(members, stores, (identity) =>
    makeRecordDoor({ current: identity }, { settings: settingJudge })
  )
})

const policy = (name: string, body: Record<string, unknown> | null) => ({
  ...{ kind: "policy", name, body }
})
const by = { author: "ann", waitMs: 0 }

it.scoped("says what came of each, and writes nothing where nothing is other", () =>
  Effect.gen(function* () {
    const { asked, controls } = yield* makeNode(0, yield* makeMesh, new MemoryBus())
    const change = (...changes: ReadonlyArray<ReturnType<typeof policy>>) =>
      Effect.map(controls.changeSettings({ ...by, changes }), ({ results }) =>
        results.map(({ name, outcome }) => `${name} ${outcome}`)
      )
    expect(yield* change(policy("a", {}), policy("b", {}))).toEqual(["a created", "b created"])
    expect(yield* change(policy("a", {}), policy("b", { retry: "off" }))).toEqual([
      "a unchanged",
      "b changed"
    ])
    expect(yield* change(policy("b", null))).toEqual(["b deleted"])
    expect(yield* change(policy("b", {}))).toEqual(["b created"])
    expect((yield* controls.settings({})).map(({ name }) => name)).toEqual(["a", "b"])
    expect((yield* controls.settings({ name: "b" })).map(({ body }) => body)).toEqual([{}])
    expect(yield* controls.settings({ kind: "access" })).toEqual([])
    const told = yield* controls.settingHistory({ kind: "policy", name: "b" })
    expect(told.map(({ body, state }) => [state, body])).toEqual([
      ["in_force", {}],
      ["past", null],
      ["past", { retry: "off" }],
      ["past", {}]
    ])
    expect(new Set(told.map(({ id }) => id)).size).toBe(4)
    expect(asked).toEqual([])
    const { results, seen } = yield* controls.changeSettings({
      ...{ changes: [policy("a", {})], author: "ann", waitMs: 1 }
    })
    expect(asked).toMatchObject([{ key: `setting/${members[0]!.peer}/policy.a`, epoch: start }])
    expect(results).toMatchObject([{ outcome: "unchanged" }])
    expect(seen).toEqual({ nodes: 1, of: 2, missing: ["host-1"], away: [] })
  })
)

it.scoped("takes all of it or nothing", () =>
  Effect.gen(function* () {
    const { controls } = yield* makeNode(0, yield* makeMesh, new MemoryBus())
    const failed = yield* Effect.flip(
      controls.changeSettings({ ...by, changes: [policy("a", {}), policy("b", { retires: 1 })] })
    )
    expect(failed).toMatchObject({ _tag: "AdminInvalid", code: "invalid" })
    expect(yield* controls.settings({})).toEqual([])
    const gone = yield* Effect.flip(
      controls.changeSettings({ ...by, changes: [policy("a", {}), policy("b", null)] })
    )
    expect(gone).toMatchObject({ _tag: "AdminNotFound", code: "not_there" })
    const kept = yield* Effect.flip(
      controls.changeSettings({
        ...{ ...by, changes: [{ kind: "uses", name: "a", body: { uses: [] } }] }
      })
    )
    expect(kept).toMatchObject({ _tag: "AdminInvalid", code: "invalid" })
    const never = yield* Effect.flip(controls.settingHistory({ kind: "policy", name: "a" }))
    expect(never).toMatchObject({ _tag: "AdminNotFound" })
  })
)

it.scoped("judges without writing just as it would when it writes", () =>
  Effect.gen(function* () {
    const { catalogue, controls } = yield* makeNode(0, yield* makeMesh, new MemoryBus())
    const refused = [
      [policy("b", { retires: 1 })],
      [policy("a", {}), policy("b", null)],
      [policy("ledger", { timeout: { request: "3s" } })],
      [policy("Not A Name", {})],
      [{ kind: "uses", name: "a", body: { uses: [] } }],
      [{ kind: "unheard-of", name: "a", body: {} }]
    ]
    for (const changes of refused) {
      const tried = yield* Effect.flip(controls.checkSettings({ author: "ann", changes }))
      expect(tried).toEqual(yield* Effect.flip(controls.changeSettings({ ...by, changes })))
    }
    const changes = [policy("a", {}), policy("c", { retry: "off" })]
    expect(yield* controls.checkSettings({ author: "ann", changes })).toEqual({ accepted: 2 })
    expect(yield* controls.settings({})).toEqual([])
    yield* controls.changeSettings({ ...by, changes })
    // A clock that was set back: what is so already is no change, and a change would be believed by nobody.
    yield* TestClock.setTime(start - 3_600_000)
    expect(yield* controls.checkSettings({ author: "ann", changes })).toEqual({ accepted: 2 })
    const later = [policy("a", { retry: "off" })]
    const tried = yield* Effect.flip(controls.checkSettings({ author: "ann", changes: later }))
    expect(tried).toMatchObject({ _tag: "AdminConflict", code: "clock_behind" })
    expect(tried).toEqual(yield* Effect.flip(controls.changeSettings({ ...by, changes: later })))
    expect(catalogue.current().settingsHeld.records).toBe(2)
  })
)

it.scoped("shows a conflict on both sides, and saying again what holds settles it", () =>
  Effect.gen(function* () {
    const mesh = yield* makeMesh
    const a = yield* makeNode(0, mesh, new MemoryBus())
    const b = yield* makeNode(1, mesh, new MemoryBus())
    yield* a.controls.changeSettings({ ...by, changes: [policy("x", { retry: "off" })] })
    yield* TestClock.adjust(1)
    yield* b.controls.changeSettings({ ...by, changes: [policy("x", {})] })
    yield* a.catalogue.syncWith(members[1]!.peer)
    for (const { controls } of [a, b]) {
      expect(yield* controls.settings({})).toMatchObject([
        { body: {}, node: "host-1", conflict: [{ body: { retry: "off" }, node: "host-0" }] }
      ])
      const states = yield* controls.settingHistory({ kind: "policy", name: "x" })
      expect(states.map(({ state }) => state)).toEqual(["in_force", "apart"])
    }
    const { results } = yield* a.controls.changeSettings({ ...by, changes: [policy("x", {})] })
    expect(results).toMatchObject([{ outcome: "changed", settles: 1 }])
    expect(yield* a.controls.settings({})).toMatchObject([{ conflict: [] }])
  })
)

it.scoped(
  "refuses a policy of which a service that is offered as tcp meets nothing, all or nothing",
  () =>
    Effect.gen(function* () {
      const { controls } = yield* makeNode(0, yield* makeMesh, new MemoryBus())
      const set = (...changes: ReadonlyArray<ReturnType<typeof policy>>) =>
        controls.changeSettings({ ...by, changes })
      const vain = { timeout: { request: "2s", tcpIdle: "1m" }, retry: { methods: ["GET"] } }
      const refused = yield* Effect.flip(set(policy("payments", {}), policy("ledger", vain)))
      expect(refused).toMatchObject({
        _tag: "AdminInvalid",
        code: "invalid",
        message:
          "policy ledger: timeout.request, retry.methods: for HTTP only, and the mesh offers ledger as tcp; leave them out"
      })
      expect(yield* controls.settings({})).toEqual([])
      // What holds of tunnels may be said; of what nobody offers, or as http, anything.
      yield* set(
        policy("ledger", { timeout: { tcpIdle: "1m" }, ejection: "off" }),
        policy("payments", vain)
      )
      expect(yield* controls.settings({})).toHaveLength(2)
      yield* set(policy("ledger", null))
    })
)
