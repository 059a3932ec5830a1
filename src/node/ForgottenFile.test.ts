import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { StorageTrouble } from "../mesh/keys/StorageTrouble.ts"
import { NodeName, PeerKey } from "../model/Names.ts"
import { ForgottenFile } from "./ForgottenFile.ts"
import { ForgottenNodes } from "./ForgottenNodes.ts"

const peer = PeerKey.make(`12D3KooW${"A".repeat(44)}`)
const job = { peer, name: NodeName.make("job"), epoch: 5, version: 5 }

let dataDir: string

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "skein-forgotten-"))
})

afterEach(() => {
  rmSync(dataDir, { recursive: true })
})

/** A life of a node: its monotonic clock begins anew, the wall clock goes on. */
const life = (wall: number) => {
  const world = { now: 0, up: false }
  const clock = { now: () => world.now, wall: () => wall + world.now }
  const forgotten = new ForgottenNodes({ now: clock.now, isUp: () => world.up })
  const trouble = new StorageTrouble(dataDir)
  const file = new ForgottenFile({ dataDir, forgotten, trouble, clock })
  return { world, forgotten, trouble, file, isOut: () => forgotten.why(job) !== undefined }
}

it.effect("who was forgotten stays so over a restart, for as long as before", () =>
  Effect.gen(function* () {
    const first = life(1_000_000)
    yield* first.file.load(300_000)
    first.world.now = 50_000
    first.forgotten.forgetUntil([{ ...job, until: 350_000 }])
    yield* first.file.save
    const second = life(1_100_000)
    expect(second.isOut()).toBe(false)
    yield* second.file.load(300_000)
    second.world.now = 249_999
    expect(second.isOut()).toBe(true)
    second.world.now = 250_000
    expect(second.isOut()).toBe(false)
  })
)

it.effect("and one that had come back is not out after the next restart", () =>
  Effect.gen(function* () {
    const first = life(1_000_000)
    first.forgotten.forgetUntil([{ ...job, until: 300_000 }])
    yield* first.file.save
    first.world.up = true
    expect(first.isOut()).toBe(false)
    yield* first.file.save
    const second = life(1_010_000)
    yield* second.file.load(300_000)
    expect(second.isOut()).toBe(false)
  })
)

it.effect("not for longer when the clock was set back meanwhile", () =>
  Effect.gen(function* () {
    const first = life(9_000_000)
    first.forgotten.forgetUntil([{ ...job, until: 300_000 }])
    yield* first.file.save
    const second = life(1_000_000)
    yield* second.file.load(300_000)
    expect(second.isOut()).toBe(true)
    second.world.now = 300_000
    expect(second.isOut()).toBe(false)
  })
)

it.effect("what is damaged keeps no node from its start, and is replaced", () =>
  Effect.gen(function* () {
    writeFileSync(join(dataDir, "forgotten.cbor"), "nonsense")
    const first = life(1_000_000)
    yield* first.file.load(300_000)
    first.forgotten.forgetUntil([{ ...job, until: 300_000 }])
    yield* first.file.save
    const second = life(1_000_000)
    yield* second.file.load(300_000)
    expect(second.isOut()).toBe(true)
  })
)

it.effect("what cannot be written is told, and is written when it can be, or was deleted", () =>
  Effect.gen(function* () {
    const first = life(1_000_000)
    rmSync(dataDir, { recursive: true })
    first.forgotten.forgetUntil([{ ...job, until: 300_000 }])
    yield* first.file.save
    expect(first.trouble.problem).toContain("forgotten.cbor")
    mkdirSync(dataDir)
    yield* first.file.save
    expect(first.trouble.problem).toBeUndefined()
    rmSync(join(dataDir, "forgotten.cbor"))
    yield* first.file.lost
    yield* first.file.save
    const second = life(1_000_000)
    yield* second.file.load(300_000)
    expect(second.isOut()).toBe(true)
  })
)
