import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { NodeName, PeerKey } from "../model/Names.ts"
import { ForgottenNodes } from "./ForgottenNodes.ts"

const peer = PeerKey.make(`12D3KooW${"A".repeat(44)}`)
const other = PeerKey.make(`12D3KooW${"B".repeat(44)}`)
const name = NodeName.make("host-d")
const make = () => {
  const world = { now: 0, up: new Set<PeerKey>() }
  const isUp = (peer: PeerKey) => world.up.has(peer)
  return { world, forgotten: new ForgottenNodes({ now: () => world.now, isUp }) }
}
const mark = (epoch: number, version: number, of = peer) => ({
  ...{ peer: of, called: name, epoch, version, at: 0 }
})

describe("a node that is forgotten for a while", () => {
  it("is not held meanwhile, unless it says something new or is there", () => {
    const { forgotten, world } = make()
    const why = (epoch: number, version: number) => forgotten.why({ peer, name, epoch, version })
    forgotten.forgetUntil([{ ...mark(5, 5), until: 100 }])
    expect(why(5, 5)).toBeDefined()
    expect(why(5, 6)).toBeUndefined()
    world.now = 100
    expect(why(5, 5)).toBeUndefined()
    forgotten.forgetUntil([{ ...mark(5, 5), until: 200 }])
    expect(why(5, 5)).toBeDefined()
    world.up.add(peer)
    expect(why(5, 5)).toBeUndefined()
    // It had come back: what was forgotten is over.
    world.up.delete(peer)
    expect(why(5, 5)).toBeUndefined()
  })
})

describe("a node that was forgotten", () => {
  it("is not held up to the record that was known, and is back with any later one", () => {
    const { forgotten } = make()
    const why = (epoch: number, version: number, of = peer) =>
      forgotten.why({ peer: of, name, epoch, version })
    expect(why(5, 5)).toBeUndefined()
    forgotten.hear([mark(5, 5)])
    expect(why(5, 5)).toBe("host-d was forgotten, and has said nothing since")
    expect([why(4, 9), why(5, 4)].every((reason) => reason !== undefined)).toBe(true)
    expect([why(5, 6), why(6, 0), why(5, 5, other)]).toEqual([undefined, undefined, undefined])
    // Taken back by whoever had said it.
    forgotten.hear([])
    expect(why(5, 5)).toBeUndefined()
  })

  it("is news once, and again when it was forgotten further", () => {
    const { forgotten } = make()
    expect(forgotten.hear([mark(5, 5)])).toEqual([peer])
    expect(forgotten.hear([mark(5, 5), mark(1, 1, other)])).toEqual([other])
    expect(forgotten.hear([mark(5, 4), mark(6, 0), mark(1, 1, other)])).toEqual([peer])
    expect(forgotten.hear([mark(6, 0), mark(5, 5), mark(1, 1, other)])).toEqual([])
  })

  it("goes by the furthest of what several say, in any order", () => {
    const order = fc.record({ epoch: fc.nat(5), version: fc.nat(5) })
    fc.assert(
      fc.property(fc.array(order, { minLength: 1 }), order, (said, asked) => {
        const { forgotten } = make()
        forgotten.hear(said.map(({ epoch, version }) => mark(epoch, version)))
        const number = ({ epoch, version }: { epoch: number; version: number }) =>
          epoch * 10 + version
        const isOut = number(asked) <= Math.max(...said.map(number))
        expect(forgotten.why({ peer, name, ...asked }) !== undefined).toBe(isOut)
      })
    )
  })
})
