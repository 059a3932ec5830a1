import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { NodeName, PeerKey } from "../../model/Names.ts"
import { InviteId } from "../../schema/TrustSchema.ts"
import type { InviteUse } from "../../schema/UsesSchema.ts"
import { InviteUses } from "./InviteUses.ts"

const invite = InviteId.make("0".repeat(31).concat("a"))
const peerOf = (index: number) => PeerKey.make(`12D3KooW${"A".repeat(43)}${"BCDEFGHJKL"[index]}`)
const use = (index: number, limit = 1, at = index): InviteUse => ({
  ...{ invite, limit, until: 1_000, peer: peerOf(index), at },
  name: NodeName.make(`host-${index}`)
})

describe("the uses of a token", () => {
  it("are counted at once, and the same host may come again", () => {
    const uses = new InviteUses()
    expect(uses.mayUse(invite, 1, peerOf(0))).toBe(true)
    expect(uses.use(use(0))).toBe(true)
    expect(uses.use(use(0))).toBe(false)
    expect(uses.mayUse(invite, 1, peerOf(0))).toBe(true)
    expect(uses.mayUse(invite, 1, peerOf(1))).toBe(false)
    expect(uses.mayUse(invite, 2, peerOf(1))).toBe(true)
  })

  it("of others count when they are heard of", () => {
    const uses = new InviteUses()
    uses.follow([use(0, 2)])
    expect(uses.mayUse(invite, 2, peerOf(1))).toBe(true)
    uses.follow([use(0, 2), use(1, 2)])
    expect(uses.mayUse(invite, 2, peerOf(2))).toBe(false)
    expect(uses.overused()).toEqual([])
  })

  it("of members that did not hear each other are found to be too many when they do", () => {
    const [here, there] = [new InviteUses(), new InviteUses()]
    here.use(use(0, 1, 20))
    there.use(use(1, 1, 10))
    for (const side of [here, there]) {
      side.follow([use(0, 1, 20), use(1, 1, 10), use(0, 1, 30)])
      expect(side.overused()).toEqual([{ invite, limit: 1, nodes: ["host-1", "host-0"] }])
    }
  })

  it("are never more than the limit where everybody hears everybody", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.array(fc.nat(9)), (limit, comers) => {
        const uses = new InviteUses()
        const told: Array<InviteUse> = []
        for (const comer of comers) {
          if (!uses.mayUse(invite, limit, peerOf(comer))) continue
          const one = use(comer, limit)
          if (uses.use(one)) told.push(one)
          if (comer % 2 === 0) uses.follow(told)
        }
        uses.follow(told)
        expect(new Set(told.map(({ peer }) => peer)).size).toBe(told.length)
        expect(told.length).toBe(Math.min(limit, new Set(comers).size))
        expect(uses.overused()).toEqual([])
      })
    )
  })
})
