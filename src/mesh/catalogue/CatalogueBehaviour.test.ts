import { Either } from "effect"
import { expect, test } from "vitest"
import { makeMembers } from "../../../test/fixtures/Members.ts"
import { ServiceName } from "../../model/Names.ts"
import type { NodeRecord, ServiceEntry } from "../../model/NodeRecord.ts"
import type { NodeIdentity } from "../trust/NodeIdentity.ts"
import { Catalogue } from "./Catalogue.ts"
import {
  type CatalogueAction,
  type CatalogueMessage,
  type CatalogueState,
  type ClockVerdict,
  catalogueBehaviour,
  makeCatalogueState,
  recoverCatalogue,
  tickDue
} from "./CatalogueBehaviour.ts"
import { makeOwnRecord, nextEpoch, type OwnFacts, ownTimes } from "./OwnRecord.ts"
import { makeRecordDoor } from "./RecordDoor.ts"
import { lifetimes, type NodeEntry } from "./RecordEntry.ts"
import type { RecordRefused } from "./RecordRefused.ts"
import { maxAhead } from "./RecordTime.ts"

const wallStart = 1_800_000_000_000
const [own, other] = makeMembers(2, wallStart - 3_600_000)
const door = makeRecordDoor({ current: own! })

const factsOf = (identity: NodeIdentity): OwnFacts => ({
  name: identity.name,
  software: "skein/test",
  addresses: [],
  services: [],
  state: "serving"
})

const payments: ServiceEntry = {
  name: ServiceName.make("payments"),
  protocol: "http",
  endpoints: [{ id: "0", healthy: true, draining: false, weight: 100 }]
}

const signedBy = (identity: NodeIdentity, change: Partial<NodeRecord>): NodeEntry =>
  Either.getOrThrow(
    makeRecordDoor({ current: identity }).seal(
      {
        ...factsOf(identity),
        peer: identity.peer,
        epoch: wallStart,
        version: 0,
        signedAt: wallStart,
        ...change
      },
      wallStart
    )
  )

/** Runs a behaviour on a clock of its own, and remembers what it did. */
class Run {
  now = 0
  /** What the wall clock is off by. */
  skew = 0
  state: CatalogueState
  actions: Array<CatalogueAction> = []
  clock: ClockVerdict = "right"
  readonly #step = catalogueBehaviour(own!.peer, door.seal, () => this.clock)

  constructor(epoch = wallStart, catalogue = Catalogue.empty) {
    this.state = makeCatalogueState(catalogue, makeOwnRecord(factsOf(own!), epoch))
  }

  get moment() {
    return { now: this.now, wall: wallStart + this.now + this.skew, random: () => 0.5 }
  }

  tell(message: CatalogueMessage): ReadonlyArray<CatalogueAction> {
    const [state, actions] = this.#step(this.state, message, this.moment)
    this.state = state
    this.actions.push(...actions)
    return actions
  }

  change(change: Partial<OwnFacts>): Array<Either.Either<NodeEntry, RecordRefused>> {
    const replies: Array<Either.Either<NodeEntry, RecordRefused>> = []
    this.tell({ _tag: "OwnChanged", change, reply: (published) => replies.push(published) })
    return replies
  }

  reply(): void {
    for (const action of this.actions) if (action._tag === "Reply") action.reply()
  }

  published(): Array<string> {
    return this.actions.flatMap((action) =>
      action._tag === "Announce"
        ? [`${action.entry.epoch - wallStart}.${action.entry.version}`]
        : []
    )
  }

  did(tag: CatalogueAction["_tag"]): number {
    return this.actions.filter(({ _tag }) => _tag === tag).length
  }
}

test("tells a change at once, and answers when it is out", () => {
  const run = new Run()
  const replies = run.change({ services: [payments] })
  expect(run.actions.map(({ _tag }) => _tag)).toEqual(["Announce", "Reply"])
  run.reply()
  expect(replies.map((reply) => Either.getOrThrow(reply).record.services)).toEqual([[payments]])
  expect(run.state.catalogue.node(own!.peer)?.record.services).toEqual([payments])
})

test("says at which tick there is something to do", () => {
  const run = new Run()
  const done: Array<string> = []
  /** Ticks a little before that, and then. */
  const untilDue = (): void => {
    const due = tickDue(run.state)
    const before = run.state
    if (due - 1 > run.now) {
      run.now = due - 1
      expect(run.tell({ _tag: "Tick" })).toEqual([])
      expect(run.state).toBe(before)
    }
    run.now = Math.max(run.now, due)
    const actions = run.tell({ _tag: "Tick" })
    expect(run.state).not.toBe(before)
    done.push(actions.map(({ _tag }) => _tag).join() || "swept")
  }
  untilDue()
  run.change({ services: [payments] })
  untilDue()
  run.tell({ _tag: "Saved", failed: true })
  untilDue()
  run.tell({ _tag: "Saved", failed: false, bytes: 1_000 })
  untilDue()
  run.now = ownTimes.resign - 1_000
  untilDue()
  untilDue()
  expect(done).toEqual(["swept", "Save", "Save", "swept", "swept", "Announce,Save"])
})

test("gathers changes that come within 20 ms, and answers them all", () => {
  const run = new Run()
  run.change({ addresses: ["/ip4/10.0.0.1/tcp/1"] })
  run.now = 5
  const replies = run.change({ services: [payments] })
  run.now = 10
  run.change({ state: "draining" })
  expect(run.published()).toEqual(["0.0"])
  expect(run.actions.filter(({ _tag }) => _tag === "WakeIn")).toEqual([
    { _tag: "WakeIn", delay: 15 }
  ])
  run.now = 20
  run.tell({ _tag: "PublishDue" })
  expect(run.published()).toEqual(["0.0", "0.1"])
  run.reply()
  expect(replies.map((reply) => Either.getOrThrow(reply).record.state)).toEqual(["draining"])
})

test("gathers for longer while others say much, but tells at once what is no longer to be had", () => {
  const run = new Run()
  run.change({ services: [payments] })
  for (let version = 0; version < 100; version++) {
    run.tell({ _tag: "Received", entry: signedBy(other!, { version }) })
  }
  run.now = 100
  run.change({ software: "skein/2" })
  expect(run.published()).toEqual(["0.0"])
  // A second after the last one.
  run.now = 950
  run.tell({ _tag: "PublishDue" })
  expect(run.published()).toEqual(["0.0"])
  run.now = 1_000
  run.tell({ _tag: "PublishDue" })
  expect(run.published()).toEqual(["0.0", "0.1"])
  run.now = 1_100
  run.change({ software: "skein/3" })
  expect(run.published()).toHaveLength(2)
  run.change({ services: [] })
  expect(run.published()).toHaveLength(3)
  expect(run.state.catalogue.node(own!.peer)?.record.software).toBe("skein/3")
})

test("sets its timer again when that fired too early", () => {
  const run = new Run()
  run.change({})
  run.change({ services: [payments] })
  run.now = 19.5
  expect(run.tell({ _tag: "PublishDue" })).toEqual([{ _tag: "WakeIn", delay: 0.5 }])
})

test("says nothing anew when nothing changed, and still answers", () => {
  const run = new Run()
  run.change({ services: [payments] })
  run.now = 1_000
  const replies = run.change({ services: [payments] })
  run.reply()
  expect(run.published()).toEqual(["0.0"])
  expect(replies.map((reply) => Either.getOrThrow(reply).version)).toEqual([0])
})

test("leaving is a tombstone without services, and is not signed anew", () => {
  const run = new Run()
  run.change({ services: [payments] })
  run.now = 1_000
  run.change({ state: "left" })
  expect(run.state.catalogue.node(own!.peer)?.record).toMatchObject({ state: "left", services: [] })
  run.now += ownTimes.resign + 1_000
  run.tell({ _tag: "Tick" })
  expect(run.published()).toEqual(["0.0", "0.1"])
})

test("signs anew every six hours, and when told to", () => {
  const run = new Run()
  run.change({ services: [payments] })
  run.now = ownTimes.resign - 1
  run.tell({ _tag: "Tick" })
  expect(run.published()).toEqual(["0.0"])
  run.now = ownTimes.resign
  run.tell({ _tag: "Tick" })
  expect(run.published()).toEqual(["0.0", "0.1"])
  run.now += 1_000
  run.tell({ _tag: "Resign" })
  expect(run.published()).toEqual(["0.0", "0.1", "0.2"])
})

test("signs anew well within the life that its record has", () => {
  const run = new Run()
  run.change({ ephemeral: true, lifetime: 1_800_000 })
  run.now = 299_999
  run.tell({ _tag: "Tick" })
  expect(run.published()).toEqual(["0.0"])
  run.now = 300_000
  run.tell({ _tag: "Tick" })
  expect(run.published()).toEqual(["0.0", "0.1"])
})

test("says nothing of itself before it has something to say", () => {
  const run = new Run()
  run.now = ownTimes.resign * 2
  run.tell({ _tag: "Tick" })
  run.tell({ _tag: "Resign" })
  expect(run.published()).toEqual([])
})

test("goes above a newer record of its own that the mesh holds, once a second at most", () => {
  const run = new Run()
  run.change({ services: [payments] })
  run.now = 500
  run.tell({ _tag: "Received", entry: signedBy(own!, { epoch: wallStart + 300, version: 7 }) })
  expect(run.published()).toEqual(["0.0"])
  expect(run.did("Warn")).toBe(1)
  run.now = 1_000
  run.tell({ _tag: "PublishDue" })
  expect(run.published()).toEqual(["0.0", "300.8"])
  expect(run.state.catalogue.node(own!.peer)?.record.services).toEqual([payments])
  const last = run.actions.slice(-2).map(({ _tag }) => _tag)
  expect(last, "stores the epoch before it tells anybody").toEqual(["StoreEpoch", "Announce"])
})

test("goes above its own record from disk when the stored epoch was lost", () => {
  const before = signedBy(own!, { epoch: wallStart + 60_000, version: 3 })
  const run = new Run(wallStart, Catalogue.empty.merge(before)[0])
  run.change({ services: [payments] })
  expect(run.published()).toEqual(["60000.4"])
})

test("is not moved by older records of its own that come back", () => {
  const run = new Run()
  run.change({ services: [payments] })
  run.now = 2_000
  run.tell({ _tag: "Received", entry: signedBy(own!, { epoch: wallStart - 1, version: 900 }) })
  expect(run.published()).toEqual(["0.0"])
  expect(run.state.own.contested).toBe(0)
})

test("reports a record that cannot be signed, and goes on with the next change", () => {
  const run = new Run()
  const services = Array.from({ length: 257 }, (_, n) => ({
    ...payments,
    name: ServiceName.make(`s${n}`)
  }))
  const replies = run.change({ services })
  run.reply()
  expect(replies.map((reply) => Either.isLeft(reply))).toEqual([true])
  expect(run.did("Warn")).toBe(1)
  run.now = 1_000
  run.change({ services: [payments] })
  expect(run.state.catalogue.node(own!.peer)?.record.services).toEqual([payments])
})

test("merges what comes in and says what became of it", () => {
  const run = new Run()
  const outcomes: Array<string> = []
  const reply = (outcome: string) => outcomes.push(outcome)
  const entry = signedBy(other!, { version: 1 })
  for (const next of [entry, entry, signedBy(other!, { version: 0 })]) {
    run.tell({ _tag: "Received", entry: next, reply })
  }
  run.reply()
  expect(outcomes).toEqual(["added", "known", "stale"])
})

test("drops what is over: records after 72 h, tombstones 48 h later", () => {
  const run = new Run()
  run.tell({ _tag: "Received", entry: signedBy(other!, {}) })
  run.now = lifetimes.record - 1
  run.tell({ _tag: "Tick" })
  expect(run.state.catalogue.size).toBe(1)
  run.tell({ _tag: "Received", entry: signedBy(other!, { state: "left", version: 1 }) })
  run.now = lifetimes.record
  run.tell({ _tag: "Tick" })
  expect(run.state.catalogue.size).toBe(1)
  run.now = lifetimes.tombstone
  run.tell({ _tag: "Tick" })
  expect(run.state.catalogue.size).toBe(0)
})

test("a clock set back by far drops epochs that nobody could beat, its own too", () => {
  const run = new Run()
  run.change({ services: [payments] })
  run.tell({ _tag: "Received", entry: signedBy(other!, {}) })
  run.now = 60_000
  run.skew = -3 * maxAhead
  run.tell({ _tag: "Tick" })
  expect(run.state.catalogue.node(other!.peer)).toBeUndefined()
  expect(run.state.catalogue.node(own!.peer)?.epoch).toBe(run.moment.wall)
})

test("a clock that is behind, or may be, throws nothing away, and its record goes on above the last", () => {
  for (const clock of ["wrong", "unknown"] as const) {
    const run = new Run()
    run.clock = clock
    run.change({ services: [payments] })
    run.tell({ _tag: "Received", entry: signedBy(other!, {}) })
    run.now = 60_000
    run.skew = -12 * maxAhead
    run.tell({ _tag: "Tick" })
    expect(run.state.catalogue.size).toBe(2)
    run.change({ services: [] })
    expect(run.state.catalogue.node(own!.peer)).toMatchObject({ epoch: wallStart, version: 1 })
    run.clock = "right"
    run.now += 60_000
    run.tell({ _tag: "Tick" })
    expect(run.state.catalogue.size).toBe(1)
    expect(run.state.catalogue.node(own!.peer)?.epoch).toBe(run.moment.wall)
  }
})

test("a clock known to be ahead by days ends no record", () => {
  const run = new Run()
  run.tell({ _tag: "Received", entry: signedBy(other!, {}) })
  run.clock = "wrong"
  run.now = 60_000
  run.skew = lifetimes.tombstone
  run.tell({ _tag: "Tick" })
  expect(run.state.catalogue.size).toBe(1)
})

test("an epoch of a clock that was ahead by more than others take ends a second after the clock's", () => {
  const run = new Run(wallStart + 1.5 * maxAhead)
  run.clock = "wrong"
  run.skew = 1.5 * maxAhead
  run.change({ services: [payments] })
  run.skew = 0
  run.clock = "right"
  run.now = 1_000
  run.tell({ _tag: "Tick" })
  expect(run.state.catalogue.node(own!.peer)).toMatchObject({ epoch: run.moment.wall, version: 0 })
})

test("saves at most once a second, not while it saves, and again 5 s after a failure", () => {
  const run = new Run()
  run.tell({ _tag: "Tick" })
  expect(run.did("Save")).toBe(0)
  run.change({ services: [payments] })
  run.tell({ _tag: "Tick" })
  run.tell({ _tag: "Received", entry: signedBy(other!, {}) })
  run.tell({ _tag: "Tick" })
  expect(run.did("Save")).toBe(1)
  run.tell({ _tag: "Saved", failed: false })
  run.now += 1_000
  run.tell({ _tag: "Tick" })
  expect(run.did("Save")).toBe(2)
  run.tell({ _tag: "Saved", failed: true })
  run.now += 4_999
  run.tell({ _tag: "Tick" })
  expect(run.did("Save")).toBe(2)
  run.now += 1
  run.tell({ _tag: "Tick" })
  expect(run.did("Save")).toBe(3)
  run.tell({ _tag: "Saved", failed: false })
  run.tell({ _tag: "Tick" })
  expect(run.did("Save")).toBe(3)
})

test("writes no more than 1 MiB a second on average", () => {
  const large = { ...signedBy(other!, {}), bytes: new Uint8Array(3 * 1024 * 1024) }
  const run = new Run(wallStart, Catalogue.empty.merge(large)[0])
  const saved: Array<number> = []
  for (let n = 0; n < 100; n++) {
    run.change({ addresses: [`/ip4/10.0.0.1/tcp/${n + 1}`] })
    const before = run.did("Save")
    run.tell({ _tag: "Tick" })
    if (run.did("Save") > before) {
      saved.push(run.now)
      run.tell({ _tag: "Saved", failed: false })
    }
    run.now += 1_000
  }
  // A little over 3 MiB each, looked at once a second.
  expect(saved).toEqual(Array.from({ length: 25 }, (_, n) => n * 4_000))
})

test("what changed is written at once where little of it is written", () => {
  const large = { ...signedBy(other!, {}), bytes: new Uint8Array(3 * 1024 * 1024) }
  const run = new Run(wallStart, Catalogue.empty.merge(large)[0])
  for (let n = 0; n < 10; n++) {
    run.change({ addresses: [`/ip4/10.0.0.1/tcp/${n + 1}`] })
    run.tell({ _tag: "Tick" })
    expect(run.did("Save")).toBe(n + 1)
    run.tell({ _tag: "Saved", failed: false, bytes: 1_000 })
    run.now += 1_000
  }
})

test("all is written when what the disk holds is unknown", () => {
  const run = new Run()
  const isWhole = (): boolean | undefined => {
    run.change({ addresses: [`/ip4/10.0.0.1/tcp/${run.did("Save") + 1}`] })
    run.now += 10_000
    const save = run.tell({ _tag: "Tick" }).find(({ _tag }) => _tag === "Save")
    return save?._tag === "Save" ? save.whole : undefined
  }
  expect(isWhole()).toBe(false)
  run.tell({ _tag: "Saved", failed: true })
  expect(isWhole()).toBe(true)
  run.tell({ _tag: "Saved", failed: false })
  expect(isWhole()).toBe(false)
})

test("saves again what is told to be gone, also while it saves", () => {
  const run = new Run()
  run.tell({ _tag: "Unsaved" })
  run.tell({ _tag: "Tick" })
  expect(run.did("Save")).toBe(1)
  run.tell({ _tag: "Unsaved" })
  run.tell({ _tag: "Saved", failed: false })
  run.tell({ _tag: "Tick" })
  expect(run.did("Save")).toBe(2)
})

test("after a crash keeps what it knew and what it still has to tell", () => {
  const run = new Run()
  run.change({})
  run.now = 5
  run.change({ services: [payments] })
  const [state, actions] = recoverCatalogue({ ...run.state, saving: true }, run.moment)
  expect(state.saving).toBe(false)
  expect(state.saved, "what was interrupted may not be on disk").toBeUndefined()
  expect(state.catalogue).toBe(run.state.catalogue)
  expect(actions).toEqual([{ _tag: "WakeIn", delay: 15 }])
})

test.each([
  { stored: undefined, wall: 100, epoch: 100 },
  { stored: 50, wall: 100, epoch: 100 },
  { stored: 100, wall: 100, epoch: 101 },
  { stored: 500, wall: 100, epoch: 501 },
  // Which of the two clocks was wrong others will tell.
  { stored: 100 + maxAhead, wall: 100, epoch: 101 + maxAhead }
])("the epoch after $stored at $wall is $epoch", ({ stored, wall, epoch }) => {
  expect(nextEpoch(stored, wall)).toBe(epoch)
})
