import * as fc from "fast-check"
import { expect, test } from "vitest"
import { signers, write } from "../../../test/fixtures/Settings.ts"
import { type HeldChange, SettingsTable } from "./SettingsTable.ts"
import type { HeldSetting } from "./SettledName.ts"

const [a, b] = signers
const start = 1_800_000_000_000
const added = (after: HeldSetting): HeldChange => ({ before: undefined, after })
const namesOf = (table: SettingsTable) =>
  Array.from(table.view, ([kind, names]) => `${kind}: ${Array.from(names.keys()).sort()}`)

test("a change tells its kind, and leaves what others hold as it was", () => {
  const table = new SettingsTable()
  const payments = write(a!, [], { body: { retry: "off" }, wall: start })
  const rule = write(a!, [], { body: { service: "x" }, wall: start, kind: "access", name: "x" })
  expect(table.follow([added(payments), added(rule)])).toEqual(new Set(["policy", "access"]))
  const access = table.view.get("access")
  const orders = write(b!, [], { body: {}, wall: start, name: "orders" })
  expect(table.follow([added(orders)])).toEqual(new Set(["policy"]))
  expect(namesOf(table)).toEqual(["policy: orders,payments", "access: x"])
  expect(table.view.get("access")).toBe(access)
  expect(table.view.get("policy")?.get("payments")).toMatchObject({
    ...{ kind: "policy", name: "payments", body: { retry: "off" }, conflict: [] },
    ...{ author: "ann", node: "host-a" }
  })
})

test("what is deleted does not hold, and is not forgotten", () => {
  const table = new SettingsTable()
  const first = write(a!, [], { body: {}, wall: start })
  const gone = write(b!, [first], { body: undefined, wall: start + 1 })
  table.follow([added(first)])
  table.follow([added(gone)])
  expect(namesOf(table)).toEqual([])
  expect(table.all()).toHaveLength(1)
  expect(table.history("policy", "payments").map(({ body }) => body)).toEqual([undefined, {}])
  table.follow([
    { before: first, after: undefined },
    { before: gone, after: undefined }
  ])
  expect(table.all()).toEqual([])
  // Times that were seen are not given again.
  expect(table.seen).toEqual({ epoch: start + 1, version: 0 })
})

test("two tables that were told the same in any order show the same", () => {
  const written = fc.array(
    fc.record({ by: fc.nat(3), name: fc.constantFrom("x", "y"), content: fc.nat(2) }),
    { minLength: 1, maxLength: 12 }
  )
  fc.assert(
    fc.property(written, fc.infiniteStream(fc.nat()), (story, random) => {
      const last = new Map<string, HeldSetting>()
      for (const [now, { by, content, name }] of story.entries()) {
        const known = last.get(`${by} ${name}`)
        const body = content === 0 ? undefined : { content }
        const held = known === undefined ? [] : [known]
        last.set(`${by} ${name}`, write(signers[by]!, held, { body, name, wall: start + now }))
      }
      const all = Array.from(last.values(), added)
      const shuffled = all
        .map((change) => [random.next().value ?? 0, change] as const)
        .sort(([one], [two]) => one - two)
        .map(([, change]) => change)
      const [once, apart] = [new SettingsTable(), new SettingsTable()]
      once.follow(all)
      for (const change of shuffled) apart.follow([change])
      const shown = (table: SettingsTable) =>
        Array.from(table.view, ([kind, names]) => [kind, Array.from(names.entries()).sort()])
      expect(shown(apart)).toEqual(shown(once))
      expect(apart.conflicts()).toEqual(once.conflicts())
      expect(apart.seen).toEqual(once.seen)
    })
  )
})
