import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir, userInfo } from "node:os"
import { dirname, join } from "node:path"
import { Effect, Exit, Scope } from "effect"
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest"
import { runCommand, serveAdmin } from "../../test/fixtures/SkeinCommand.ts"
import { AdminForbidden } from "../admin/AdminError.ts"
import type { SettingsChange } from "../admin/SettingsModel.ts"
import { makeSampleSource, sampleHistory, sampleSettings } from "../testing/SampleSource.ts"

const sample = makeSampleSource()
let scope: Scope.CloseableScope
let admin: string
let directory: string
let asked: Array<SettingsChange> = []
let missing: ReadonlyArray<string> = []
let refuses = false

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "skein-apply-"))
  scope = Effect.runSync(Scope.make())
  const denied = () => {
    const message = "host-a may not set policy x"
    return new AdminForbidden({ code: "not_granted", message, hint: "Do it on host-b." })
  }
  const source = makeSampleSource({
    checkSettings: (trial) => (refuses ? denied() : sample.checkSettings(trial)),
    changeSettings: (change) => {
      if (refuses) return denied()
      asked.push(change)
      return Effect.map(sample.changeSettings(change), ({ results, seen }) => ({
        results: results.map((one) => ({ ...one, settles: one.name === "payments" ? 1 : 0 })),
        seen: seen === null ? null : { ...seen, missing }
      }))
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
beforeEach(() => {
  asked = []
  missing = []
  refuses = false
})

const skein = (...words: ReadonlyArray<string>) => runCommand(...words, "--admin", admin)
const file = (name: string, text: string) => {
  writeFileSync(join(directory, name), text)
  return join(directory, name)
}
const payments = (request: string) =>
  file("payments.yaml", `kind: policy\nname: payments\ntimeout: { request: ${request} }\n`)

test("get shows what holds, who set it, and what contradicts it", async () => {
  const { code, stdout, stderr } = await skein("get")
  expect(code).toBe(0)
  expect(stdout).toMatch(/^policy +orders +0a1b2c3d +\S+ +ann on host-a +- +\{ retry: off \}$/m)
  expect(stdout).toMatch(/^policy +payments .* 4e5f6071 bob on host-b +\{ timeout:/m)
  expect(stderr).toContain("set apart by two")
  expect(JSON.parse((await skein("get", "policy", "-o", "json")).stdout)).toEqual(sampleSettings)
  const one = await skein("get", "policy", "orders", "-o", "yaml")
  expect(one.stdout).toBe("kind: policy\nname: orders\nwhy: slow on Mondays\nretry: off\n")
})

test("what get prints can be applied as it is", async () => {
  const { stdout } = await skein("get", "-o", "yaml")
  await skein("apply", "-f", file("all.yaml", stdout))
  expect(asked[0]?.changes.map(({ body, name }) => [name, body])).toEqual(
    sampleSettings.map(({ body, name }) => [name, body])
  )
})

test.each([
  [["polcy"], "polcy is no kind of settings; did you mean policy?"],
  [["policy", "payment"], "there is no policy payment; did you mean payments?"]
])("get %s says what was meant", async (words, message) => {
  expect(await skein("get", ...words)).toMatchObject({ code: 1, stderr: `skein: ${message}\n` })
})

test("apply tells what came of each, and who has it", async () => {
  const { code, stderr } = await skein("apply", "-f", payments("3s"), "--why", "three is enough")
  expect(code).toBe(0)
  expect(stderr).toBe(
    "policy payments changed (ccddeeff); that settles it with 1 other version\nseen by 2 of 3 reachable nodes\nnot there now, and told when they are: host-d\n"
  )
  expect(asked).toEqual([
    {
      changes: [
        {
          ...{ kind: "policy", name: "payments", why: "three is enough" },
          body: { timeout: { request: "3s" } }
        }
      ],
      ...{ author: userInfo().username, waitMs: 10_000 }
    }
  ])
})

test("apply fails when somebody who is there has not got it in time, though it is set", async () => {
  missing = ["host-c"]
  const { code, stderr } = await skein("apply", "-f", payments("3s"), "--wait", "2s")
  expect(code).toBe(1)
  expect(stderr).toContain("it is set, and host-c had not got it after 2s")
  expect(asked[0]?.waitMs).toBe(2_000)
  const unseen = await skein("apply", "-f", payments("3s"), "--wait", "0s")
  expect([unseen.code, unseen.stderr]).toEqual([0, expect.not.stringContaining("seen by")])
})

test("many files are sent in parts that the node takes", async () => {
  const text = (n: number) =>
    `kind: policy\nname: s${n}\nretry: { methods: [${Array.from({ length: 200 }, (_, m) => `M${"A".repeat(m % 7)}${"B".repeat(Math.floor(m / 7))}`).join(", ")}] }\n`
  const files = Array.from({ length: 40 }, (_, n) => file(`many-${n}.yaml`, text(n)))
  const { code, stderr } = await skein("apply", "-f", ...files)
  expect([code, stderr]).toEqual([0, expect.stringContaining("policy s39 changed")])
  expect(asked.length).toBeGreaterThan(1)
  expect(asked.flatMap(({ changes }) => changes)).toHaveLength(40)
})

test("a dry run says what would change and for whom, and changes nothing", async () => {
  const path = file(
    "dry.yaml",
    "kind: policy\nname: payments\ntimeout: { request: 3s }\n---\nkind: policy\nname: orders\nretry: off\n---\nkind: policy\nname: ledger\n"
  )
  const { code, stdout, stderr } = await skein("apply", "-f", path, "--dry-run")
  expect(code).toBe(0)
  expect(stdout).toBe(
    "policy payments would change, for calls to payments from every node\n    timeout:\n  -   request: 2s\n  +   request: 3s\npolicy orders is so already\npolicy ledger would be created, for calls to ledger from every node\n"
  )
  expect(stderr).toBe("2 settings would change; nothing was\n")
  expect(asked).toEqual([])
  const settled = await skein("apply", "-f", payments("2s"), "--dry-run")
  expect(settled.stdout).toMatch(/^policy payments would be settled/)
})

test("a dry run of what would be refused fails as the change itself does", async () => {
  refuses = true
  const path = payments("3s")
  const tried = await skein("apply", "-f", path, "--dry-run")
  const done = await skein("apply", "-f", path)
  expect([tried.code, tried.stderr]).toEqual([1, expect.stringContaining("may not set policy x")])
  expect([tried.code, tried.stderr]).toEqual([done.code, done.stderr])
  // What it would be is said all the same.
  expect(tried.stdout).toContain("policy payments would change")
  const long = await skein("apply", "-f", path, "--dry-run", "--why", "w".repeat(2_000))
  expect([long.code, long.stderr]).toEqual([2, expect.stringContaining("--why takes at most")])
})

test("diff shows both sides, or that there is nothing between them", async () => {
  const different = await skein("diff", "-f", payments("3s"))
  expect(different.stdout).toMatch(
    /^--- policy payments: version 0a1b2c3d, by ann on host-a\n\+\+\+ policy payments: .*\n {2}timeout:\n- {3}request: 2s\n\+ {3}request: 3s\n$/
  )
  const same = await skein("diff", "-f", file("o.yaml", "kind: policy\nname: orders\nretry: off\n"))
  expect([same.code, same.stdout]).toEqual([0, ""])
  expect(same.stderr).toContain("is what stands there")
})

test("every mistake is told at its place, and nothing is sent", async () => {
  const path = file("bad.yaml", "kind: policy\nname: payments\nretires: off\n")
  const { code, stderr } = await skein("apply", "-f", path)
  expect(code).toBe(1)
  expect(stderr).toContain("skein: what is to be set cannot be used")
  expect(stderr).toContain("bad.yaml:3:1: retires: unknown key retires; did you mean retry?")
  expect((await skein("apply")).code).toBe(2)
  expect((await skein("diff", payments("1s"))).code).toBe(2)
  expect(asked).toEqual([])
})

test("a node that may not says so, with the mend", async () => {
  refuses = true
  expect(await skein("delete", "policy", "orders")).toMatchObject({
    code: 1,
    stderr: "skein: host-a may not set policy x\n  Do it on host-b.\n"
  })
})

test("apply and diff say what of a directory they leave out; -R takes what lies deeper", async () => {
  mkdirSync(join(directory, "rules", "shop"), { recursive: true })
  const orders = file("rules/orders.yaml", "kind: policy\nname: orders\nretry: off\n")
  file("rules/shop/ledger.yaml", "kind: policy\nname: ledger\nretry: off\n")
  file("rules/.old.yaml", "not even YAML: [\n")
  const rules = dirname(orders)
  const one = await skein("apply", "-f", rules)
  expect(asked.flatMap(({ changes }) => changes.map(({ name }) => name))).toEqual(["orders"])
  expect(one.stderr).toContain(`warning: not taken: ${rules}/.old.yaml is hidden\n`)
  expect(one.stderr).toContain(`warning: not taken: ${rules}/shop is a directory, which only -R`)
  asked = []
  const both = await skein("apply", "-R", "-f", rules)
  expect(asked.flatMap(({ changes }) => changes.map(({ name }) => name))).toEqual([
    "orders",
    "ledger"
  ])
  expect(both.stderr).not.toContain("only -R")
  expect((await skein("diff", "--recursive", "-f", rules)).stdout).toContain("+++ policy ledger")
})

test("delete takes back, and says why", async () => {
  const { stderr } = await skein("delete", "policy", "orders", "--why", "not needed")
  expect(stderr).toContain("policy orders deleted (ccddeeff)")
  expect(asked[0]?.changes).toEqual([
    { kind: "policy", name: "orders", body: null, why: "not needed" }
  ])
})

test("policy explain says each value, and whose it is", async () => {
  const { code, stdout } = await skein("policy", "explain", "payments")
  expect(code).toBe(0)
  expect(stdout).toMatch(/^timeout\.request +2s +the mesh +ann on host-a$/m)
  expect(stdout).toMatch(/^timeout\.perTry +none +default +-$/m)
  expect(stdout).toMatch(/^retry +off +this node's config +\/etc\/skein\.yaml$/m)
  expect(stdout).toContain("retry of its own node (host-b) does not hold: it makes no policy\n")
  const json = await skein("policy", "explain", "payments", "-o", "json")
  expect(JSON.parse(json.stdout)).toMatchObject({
    service: "payments",
    leftOut: [{ part: "retry" }]
  })
})

test("history names versions, and rollback goes back to one", async () => {
  const table = await skein("history", "policy", "payments")
  expect(table.stdout).toMatch(/^0a1b2c3d +in force +\S+ +ann on host-a +slow on Mondays/m)
  expect(table.stdout).toMatch(/^4e5f6071 +set apart +\S+ +bob on host-b +-/m)
  expect(table.stdout).toMatch(/^8899aabb +past .*deleted$/m)
  const json = await skein("history", "policy", "payments", "-o", "json")
  expect(JSON.parse(json.stdout)).toEqual(sampleHistory)
  await skein("rollback", "policy", "payments", "4e5")
  await skein("rollback", "policy", "payments")
  expect(asked.map(({ changes }) => changes)).toEqual([
    [
      {
        ...{ kind: "policy", name: "payments", why: "back to 4e5f6071" },
        body: { timeout: { request: "5s" } }
      }
    ],
    [{ kind: "policy", name: "payments", body: null, why: "back to 8899aabb" }]
  ])
  const none = await skein("rollback", "policy", "payments", "ff")
  expect([none.code, none.stderr]).toEqual([
    1,
    "skein: it has no version ff; there are 0a1b2c3d, 4e5f6071, 8899aabb\n"
  ])
})
