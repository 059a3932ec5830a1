import { describe, expect, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import { PeerKey } from "../../model/Names.ts"
import { takesLink, threadWish } from "./ThreadWish.ts"

const alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
const peer = fc
  .array(fc.constantFrom(...alphabet), { minLength: 44, maxLength: 44 })
  .map((letters) => PeerKey.make(`12D3KooW${letters.join("")}`))

const size = fc.integer({ min: 1, max: 64 })

describe("the thread that a link is to come to", () => {
  it("is another for each thread of a node, as far as the peer has as many", () => {
    fc.assert(
      fc.property(peer, size, size, (self, own, threads) => {
        const met = new Set(
          Array.from({ length: own }, (_, index) => threadWish(self, index) % threads)
        )
        // Where the numbers begin anew, two may meet.
        expect(met.size).toBeGreaterThanOrEqual(Math.min(own, threads) - 1)
      })
    )
  })

  it("is spread over nodes of one thread each", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(peer, { minLength: 400, maxLength: 400 }),
        fc.constantFrom(2, 4, 8),
        (peers, threads) => {
          const counts = Array.from({ length: threads }, () => 0)
          for (const self of peers) counts[threadWish(self, 0) % threads]!++
          // Six standard deviations of a fair draw.
          const fair = peers.length / threads
          const deviation = Math.sqrt(fair * (1 - 1 / threads))
          for (const count of counts) expect(Math.abs(count - fair)).toBeLessThan(6 * deviation)
        }
      ),
      { numRuns: 20 }
    )
  })

  it("is the one wished for, if one is", () => {
    fc.assert(
      fc.property(size, fc.integer({ min: 0, max: 0xffef }), (threads, wish) => {
        const takers = Array.from({ length: threads }, (_, index) =>
          takesLink({ index, threads }, wish)
        )
        expect(takers.filter((takes) => takes)).toHaveLength(1)
        expect(takers[wish % threads]).toBe(true)
        expect(takesLink({ index: threads - 1, threads }, undefined)).toBe(true)
      })
    )
  })
})
