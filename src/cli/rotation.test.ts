import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Exit, Scope } from "effect"
import { afterAll, beforeAll, expect, it } from "vitest"
import { runCommand, serveAdmin } from "../../test/fixtures/SkeinCommand.ts"
import type { FinishRequest, RootsStatus, RotateRequest } from "../admin/TrustModel.ts"
import { makeSampleSource } from "../testing/SampleSource.ts"
import { renderRoots } from "./rotation.ts"

const sample = makeSampleSource()
const [old, fresh] = ["0".repeat(32), "1".repeat(32)]
const asked: Array<RotateRequest | FinishRequest> = []
let scope: Scope.CloseableScope
let directory: string
let admin: string

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "skein-rotation-"))
  scope = Effect.runSync(Scope.make())
  const source = makeSampleSource({
    rotateRoot: (request) => {
      asked.push(request)
      return sample.rotateRoot(request)
    },
    finishRoot: (request) => {
      asked.push(request)
      return sample.finishRoot(request)
    }
  })
  admin = await Effect.runPromise(
    Scope.extend(serveAdmin(source, join(directory, "admin.sock")), scope)
  )
})
afterAll(async () => {
  await Effect.runPromise(Scope.close(scope, Exit.void))
  rmSync(directory, { recursive: true, force: true })
})

const skein = (...words: ReadonlyArray<string>) => runCommand("root", ...words, "--admin", admin)

it("status shows each root with who stands under it, who is left, and whether it can end", async () => {
  const { code, stdout } = await skein("status")
  expect(code).toBe(0)
  expect(stdout).toMatch(new RegExp(`${old} +in force +1`))
  expect(stdout).toMatch(new RegExp(`${fresh} +newest, key here +2`))
  expect(stdout).toMatch(new RegExp(`host-c +${old} +yes +it moves within a minute`))
  expect(stdout).toContain("Not to be finished here and now: host-c is there")
})

it("status says when nobody would notice the end, and when there is nothing to end", async () => {
  const status: RootsStatus = await Effect.runPromise(sample.roots)
  const showing = { colour: false, now: 1_800_000_060_000 }
  const ready = renderRoots({ ...status, left: [], notYet: null }, showing)
  expect(ready).toContain("Everybody stands under the newest root.")
  expect(ready).toContain("skein root finish withdraws the older ones")
  expect(ready).toContain("1m ago")
  const [first] = status.roots
  const one = { ...status, roots: [{ ...first!, isNewest: true }], left: [], hasKey: false }
  expect(renderRoots(one, showing)).toMatch(/does not hold the key.*No rotation is under way/)
})

it("status says first what to do when one root has two successors", async () => {
  const status: RootsStatus = await Effect.runPromise(sample.roots)
  const [first, second] = status.roots
  const mine = "2".repeat(32)
  const roots = [
    first!,
    { ...first!, id: mine, hasKey: true, rivals: [fresh] },
    { ...second!, hasKey: false, rivals: [mine] }
  ]
  const shown = renderRoots(
    { ...status, roots: roots as RootsStatus["roots"], hasKey: false },
    { colour: false, now: 1_800_000_060_000 }
  )
  expect(shown).toContain("several successors in force")
  expect(shown).toContain(`skein root finish --keep ${mine}`)
  expect(shown).toContain(`holds the key of the root ${mine}, which is not the newest`)
})

it("rotate prints the new root alone, and says where its key is and what is next", async () => {
  const { code, stderr, stdout } = await skein("rotate", "--why", "a year old")
  expect([code, stdout]).toEqual([0, `${fresh}\n`])
  expect(stderr).toMatch(/root\.key[\s\S]*skein root export[\s\S]*1 other node will move/)
  expect(stderr).toContain("seen by 3 of 3 reachable nodes")
  expect(asked.at(-1)).toMatchObject({ why: "a year old", waitMs: 10_000 })
})

it("finish waits for nobody with --force alone, and says who comes over later", async () => {
  const refused = await skein("finish")
  expect([refused.code, refused.stdout]).toEqual([1, ""])
  expect(refused.stderr).toContain("host-c is there and still under an older root")
  expect(asked.at(-1)).toMatchObject({ force: false })
  const { code, stderr, stdout } = await skein("finish", "--force", "--wait", "0s")
  expect([code, stdout]).toEqual([0, `${old} withdrawn\n`])
  expect(stderr).toContain("signed for anew: host-c")
  expect(asked.at(-1)).toMatchObject({ force: true, waitMs: 0 })
  await skein("finish", "--force", "--keep", fresh)
  expect(asked.at(-1)).toMatchObject({ keep: fresh })
  const misread = await skein("finish", "--keep", "mine")
  expect([misread.code, misread.stdout + misread.stderr]).toEqual([
    2,
    expect.stringContaining("32 hex digits")
  ])
})
