import { expect, it } from "vitest"
import type { MemberState } from "../mesh/membership/MemberTable.ts"
import { PeerKey } from "../model/Names.ts"
import { OwnAbsence } from "./OwnAbsence.ts"

const b = PeerKey.make(`12D3KooW${"B".repeat(44)}`)
const member = (state: MemberState) => [{ peer: b, state }]

it("is over when somebody who was taken for dead is there again, once", () => {
  const absence = new OwnAbsence()
  const states = ["alive", "suspect", "alive", "dead", "dead", "alive", "alive"] as const
  const seen = states.map((state, index) => absence.isOver(member(state), index * 5_000, 0.9))
  expect(seen).toEqual([false, false, false, false, false, true, false])
})

it("is not over by one who left, or of whom nothing is known any more", () => {
  const absence = new OwnAbsence()
  absence.isOver(member("dead"), 0, 0)
  expect(absence.isOver(member("left"), 5_000, 0)).toBe(false)
  absence.isOver(member("dead"), 10_000, 0)
  expect([absence.isOver([], 15_000, 0), absence.isOver(member("alive"), 20_000, 0)]).toEqual([
    false,
    false
  ])
})

it("is over when this node stood still for as long as it takes to be forgotten", () => {
  const absence = new OwnAbsence()
  const seen = [0, 5_000, 34_999, 64_999, 70_000].map((wall) =>
    absence.isOver(member("alive"), wall, 0)
  )
  expect(seen).toEqual([false, false, false, true, false])
})

/** Of so many members one is dead at every other look, for five minutes; when it was over. */
const flapping = (members: number, random: number) => {
  const absence = new OwnAbsence()
  const others = Array.from({ length: members - 1 }, (_, n) => ({
    peer: PeerKey.make(`12D3KooW${String(n).padStart(44, "C").replaceAll("0", "Z")}`),
    state: "alive" as const
  }))
  return Array.from({ length: 60 }, (_, index) => index * 5_000).filter((wall) =>
    absence.isOver([...others, ...member(wall % 10_000 === 0 ? "dead" : "alive")], wall, random)
  )
}

it("is over once a minute at most, whoever comes and goes", () => {
  expect(flapping(3, 0.9)).toEqual([5_000, 65_000, 125_000, 185_000, 245_000])
})

it("is over for members of a large mesh one after the other, within a minute", () => {
  const first = Array.from({ length: 100 }, (_, n) => flapping(100, n / 100)[0] ?? Infinity)
  expect(Math.max(...first)).toBeLessThanOrEqual(35_000)
  const most = Math.max(...first.map((at) => first.filter((other) => other === at).length))
  expect(most).toBeLessThanOrEqual(40)
  expect(flapping(1_000, 0.99)[0]).toBe(65_000)
})

it("is not put off for longer when the clock is set back", () => {
  const absence = new OwnAbsence()
  absence.isOver(member("dead"), 100_000, 0)
  expect(absence.isOver(member("alive"), 105_000, 0)).toBe(true)
  absence.isOver(member("dead"), 110_000, 0)
  expect(absence.isOver(member("alive"), 115_000, 0)).toBe(false)
  expect(absence.isOver(member("alive"), 1_000, 0)).toBe(true)
})
