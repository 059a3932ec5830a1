import { expect, it } from "vitest"
import type { MemberState } from "../mesh/membership/MemberTable.ts"
import { PeerKey } from "../model/Names.ts"
import { OwnAbsence } from "./OwnAbsence.ts"

const b = PeerKey.make(`12D3KooW${"B".repeat(44)}`)
const member = (state: MemberState) => [{ peer: b, state }]

it("is over when somebody who was taken for dead is there again, once", () => {
  const absence = new OwnAbsence()
  const states = ["alive", "suspect", "alive", "dead", "dead", "alive", "alive"] as const
  const seen = states.map((state, index) => absence.isOver(member(state), index * 5_000))
  expect(seen).toEqual([false, false, false, false, false, true, false])
})

it("is not over by one who left, or of whom nothing is known any more", () => {
  const absence = new OwnAbsence()
  absence.isOver(member("dead"), 0)
  expect(absence.isOver(member("left"), 5_000)).toBe(false)
  absence.isOver(member("dead"), 10_000)
  expect([absence.isOver([], 15_000), absence.isOver(member("alive"), 20_000)]).toEqual([
    false,
    false
  ])
})

it("is over when this node stood still for as long as it takes to be forgotten", () => {
  const absence = new OwnAbsence()
  const seen = [0, 5_000, 34_999, 64_999, 70_000].map((wall) =>
    absence.isOver(member("alive"), wall)
  )
  expect(seen).toEqual([false, false, false, true, false])
})
