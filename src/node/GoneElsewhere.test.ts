import { expect, it } from "vitest"
import { nodeKey } from "../mesh/catalogue/RecordEntry.ts"
import { PeerKey } from "../model/Names.ts"
import { GoneElsewhere } from "./GoneElsewhere.ts"

const peerOf = (letter: string) => PeerKey.make(`12D3KooW${letter.repeat(44)}`)
const [job, b, c] = [peerOf("J"), peerOf("B"), peerOf("C")] as const
const record = { peer: job, epoch: 5, version: 5 }
const mark = (epoch: number, version: number, of = job) => ({ key: nodeKey(of), epoch, version })

const make = () => {
  const world = { now: 0 }
  return { world, elsewhere: new GoneElsewhere(() => world.now) }
}

it("two members are believed, and one that says it twice is not", () => {
  const { elsewhere } = make()
  expect(elsewhere.isGone(record, 2)).toBe(false)
  elsewhere.hear(b, [mark(5, 5)])
  elsewhere.hear(b, [mark(5, 5)])
  expect(elsewhere.isGone(record, 2)).toBe(false)
  elsewhere.hear(c, [mark(5, 5)])
  expect(elsewhere.isGone(record, 2)).toBe(true)
})

it("where there is but one other, that one is; where there is nobody, nobody", () => {
  const { elsewhere } = make()
  elsewhere.hear(b, [mark(5, 5)])
  expect([elsewhere.isGone(record, 1), elsewhere.isGone(record, 0)]).toEqual([true, false])
})

it("not of a record that is later than what they gave up", () => {
  const { elsewhere } = make()
  elsewhere.hear(b, [mark(5, 4)])
  elsewhere.hear(c, [mark(5, 5)])
  expect(elsewhere.isGone(record, 2)).toBe(false)
  elsewhere.hear(b, [mark(6, 0)])
  expect(elsewhere.isGone(record, 2)).toBe(true)
  expect(elsewhere.isGone({ ...record, epoch: 6, version: 1 }, 2)).toBe(false)
})

it("a word counts for five minutes, and what is over makes room", () => {
  const { elsewhere, world } = make()
  elsewhere.hear(b, [mark(5, 5)])
  world.now = 299_999
  elsewhere.hear(c, [mark(5, 5)])
  expect(elsewhere.isGone(record, 2)).toBe(true)
  world.now = 300_000
  expect(elsewhere.isGone(record, 2)).toBe(false)
  const many = Array.from({ length: 5_000 }, (_, n) => ({ key: `node/${n}`, epoch: 1, version: 1 }))
  elsewhere.hear(b, many)
  elsewhere.hear(c, [mark(5, 5)])
  elsewhere.hear(b, [mark(5, 5)])
  // It was there before the others; of what is beyond the limit nothing is noted.
  expect(elsewhere.isGone(record, 2)).toBe(true)
  const late = peerOf("L")
  for (const by of [b, c]) elsewhere.hear(by, [mark(5, 5, late)])
  expect(elsewhere.isGone({ ...record, peer: late }, 2)).toBe(false)
  world.now = 900_000
  for (const by of [b, c]) elsewhere.hear(by, [mark(5, 5, late)])
  expect(elsewhere.isGone({ ...record, peer: late }, 2)).toBe(true)
})
