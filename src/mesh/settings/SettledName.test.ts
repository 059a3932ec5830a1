import * as fc from "fast-check"
import { expect, test } from "vitest"
import { heldOf, signers, write } from "../../../test/fixtures/Settings.ts"
import {
  compareHeld,
  type HeldSetting,
  historyOf,
  overIn,
  settingLifetimes,
  settle
} from "./SettledName.ts"

const [a, b, c] = signers
const start = 1_800_000_000_000
const bodyOf = (attempts: number) => ({ retry: { attempts } })

/** One for each signer: the greatest, as the catalogue keeps them. */
const merged = (
  ...sides: ReadonlyArray<ReadonlyArray<HeldSetting>>
): ReadonlyArray<HeldSetting> => {
  const kept = new Map<string, HeldSetting>()
  for (const one of sides.flat()) {
    const before = kept.get(one.setting.signer)
    if (before === undefined || compareHeld(one, before) > 0) kept.set(one.setting.signer, one)
  }
  return Array.from(kept.values())
}

test("who has seen a version supersedes it, however far behind its clock is", () => {
  const first = write(a!, [], { body: bodyOf(1), wall: start })
  const second = write(b!, [first], { body: bodyOf(2), wall: start - 60_000 })
  const settled = settle([first, second])
  expect(settled.inForce).toBe(second.setting)
  expect(settled.conflict).toEqual([])
})

test("what two write apart is shown with both, until somebody names both", () => {
  const first = write(a!, [], { body: bodyOf(1), wall: start })
  const left = write(b!, [first], { body: bodyOf(2), wall: start + 1 })
  const right = write(c!, [first], { body: bodyOf(3), wall: start + 2 })
  const healed = merged([first, left], [first, right])
  const settled = settle(healed)
  expect(settled.inForce).toBe(right.setting)
  expect(settled.conflict).toEqual([left.setting])
  const last = write(a!, healed, { body: bodyOf(2), wall: start + 3 })
  expect(settle(merged(healed, [last]))).toMatchObject({ inForce: last.setting, conflict: [] })
})

test("who says the same contradicts nobody", () => {
  const left = write(a!, [], { body: bodyOf(2), wall: start })
  const right = write(b!, [], { body: bodyOf(2), wall: start + 1 })
  expect(settle([left, right]).conflict).toEqual([])
})

test("what was superseded through a version that is gone stays superseded", () => {
  const first = write(a!, [], { body: bodyOf(1), wall: start })
  const second = write(b!, [first], { body: bodyOf(2), wall: start + 1 })
  // Its writer never held the first.
  const third = write(c!, [second], { body: bodyOf(3), wall: start + 2 })
  expect(settle([third, first]).conflict).toEqual([])
})

test("a deletion that another did not know of is a conflict, too", () => {
  const first = write(a!, [], { body: bodyOf(1), wall: start })
  const deleted = write(b!, [first], { body: undefined, wall: start + 2 })
  const changed = write(c!, [first], { body: bodyOf(2), wall: start + 1 })
  const settled = settle([first, deleted, changed])
  expect(settled.inForce.body).toBeUndefined()
  expect(settled.conflict).toEqual([changed.setting])
})

/**
 * Four writers, of whom each sees of the others what it is told: a step is a write, or one telling another
 * all it holds.
 */
const steps = fc.array(
  fc.record({
    from: fc.nat(3),
    to: fc.nat(3),
    tells: fc.boolean(),
    attempts: fc.nat(3),
    skew: fc.integer({ min: -5, max: 5 })
  }),
  { minLength: 1, maxLength: 30 }
)

type Steps = Array<{ from: number; to: number; tells: boolean; attempts: number; skew: number }>

const run = (story: Steps): ReadonlyArray<ReadonlyArray<HeldSetting>> => {
  const nodes: Array<ReadonlyArray<HeldSetting>> = signers.map(() => [])
  for (const [now, { attempts, from, skew, tells, to }] of story.entries()) {
    if (tells) nodes[to] = merged(nodes[to]!, nodes[from]!)
    else {
      const body = attempts === 0 ? undefined : bodyOf(attempts)
      const written = write(signers[from]!, nodes[from]!, { body, wall: start + now + skew })
      nodes[from] = merged(nodes[from]!, [written])
    }
  }
  return nodes
}

test("every order of meeting ends in the same, and conflicts are seen alike on all sides", () => {
  fc.assert(
    fc.property(steps, fc.array(fc.nat(3), { minLength: 4, maxLength: 12 }), (story, order) => {
      const nodes = run(story)
      const together = merged(...nodes)
      if (together.length === 0) return
      const other = merged(...order.map((index) => nodes[index]!), ...nodes.toReversed())
      expect(settle(other)).toEqual(settle(together))
      expect(historyOf(other)).toEqual(historyOf(together))
      // Associative and idempotent.
      const pairs = merged(merged(nodes[0]!, nodes[1]!), merged(nodes[3]!, nodes[2]!), together)
      expect(settle(pairs)).toEqual(settle(together))
    })
  )
})

test("nothing is in force that somebody saw and superseded, and one write settles all", () => {
  fc.assert(
    fc.property(steps, (story) => {
      const together = merged(...run(story))
      if (together.length === 0) return
      const { conflict, inForce } = settle(together)
      for (const { setting } of together) {
        const names = setting.replaces.some(
          ({ epoch, signer, version }) =>
            signer === inForce.signer && epoch === inForce.epoch && version === inForce.version
        )
        expect(names).toBe(false)
      }
      for (const one of conflict) expect(one.body).not.toEqual(inForce.body)
      const last = write(a!, together, { body: bodyOf(9), wall: start })
      expect(settle(merged(together, [last]))).toMatchObject({
        inForce: { body: bodyOf(9) },
        conflict: []
      })
    })
  )
})

test("of two that claim the same time the hash decides, on every node alike", () => {
  const left = write(a!, [], { body: bodyOf(1), wall: start })
  const right = write(b!, [], { body: bodyOf(2), wall: start })
  const settled = settle([left, right])
  expect(settle([right, left])).toEqual(settled)
  expect(settled.conflict).toHaveLength(1)
})

test("history holds what was in force before, newest first, from whichever node it is read", () => {
  let held: ReadonlyArray<HeldSetting> = []
  for (let n = 1; n <= 14; n++) {
    const by = signers[n % 2]!
    held = merged(held, [write(by, held, { body: bodyOf(n), wall: start + n, why: `step ${n}` })])
  }
  const attempts = historyOf(held).map(({ body }) => body)
  expect(attempts.slice(0, 11)).toEqual(
    Array.from({ length: 11 }, (_, index) => bodyOf(14 - index))
  )
  expect(historyOf(held)[1]).toMatchObject({ node: "host-b", author: "ann", why: "step 13" })
})

test("a large version is left out of the history, and not those before it", () => {
  const small = write(a!, [], { body: bodyOf(1), wall: start })
  const large = write(b!, [small], { body: { text: "x".repeat(20_000) }, wall: start + 1 })
  const now = write(c!, [small, large], { body: bodyOf(3), wall: start + 2 })
  expect(now.setting.past.map(({ body }) => body)).toEqual([bodyOf(1)])
})

test("what was superseded ends a month later, a deletion after all that it stands against", () => {
  const first = write(a!, [], { body: bodyOf(1), wall: start })
  const deleted = write(b!, [first], { body: undefined, wall: start + 1 })
  const held = [first, deleted]
  const { deleted: end, superseded } = settingLifetimes
  expect(overIn(held, start + superseded)).toEqual([])
  expect(overIn(held, start + 1 + superseded)).toEqual([first.setting])
  expect(overIn([deleted], start + end)).toEqual([])
  expect(overIn([deleted], start + 1 + end)).toEqual([deleted.setting])
  const changed = write(b!, [first], { body: bodyOf(2), wall: start + 1 })
  expect(overIn([changed], start + 100 * end)).toEqual([])
})

test("neither side of a conflict ends before it is settled", () => {
  const changed = write(a!, [], { body: bodyOf(1), wall: start })
  const deleted = write(b!, [], { body: undefined, wall: start + 1 })
  expect(overIn([changed, deleted], start + 100 * settingLifetimes.deleted)).toEqual([])
})

test("a version of the same signer is the later one by its time alone", () => {
  const first = write(a!, [], { body: bodyOf(1), wall: start })
  const second = write(a!, [first], { body: bodyOf(2), wall: start })
  expect(second.setting).toMatchObject({ epoch: start, version: 1 })
  expect(compareHeld(heldOf(second.setting), first)).toBeGreaterThan(0)
})
