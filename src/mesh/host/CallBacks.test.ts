import { expect, it } from "vitest"
import { PeerKey } from "../../model/Names.ts"
import { CallBacks } from "./CallBacks.ts"

const peer = PeerKey.make("12D3KooWKF6X2KPTPHQSgDgd6jQNQ3rLyy9J3FJvguN8ugfxZVKh")

const setUp = (at: { upFor?: number; isKnown?: boolean } = {}) => {
  const calls: Array<PromiseWithResolvers<void>> = []
  const clock = { now: 0 }
  const callBacks = new CallBacks({
    ticker: { now: () => clock.now },
    upFor: () => at.upFor,
    isKnown: () => at.isKnown ?? true,
    call: () => {
      const call = Promise.withResolvers<void>()
      calls.push(call)
      return call.promise
    }
  })
  const settled = () => new Promise((done) => setImmediate(done))
  return { calls, callBacks, clock, settled }
}

it("refuses who can be called, and calls once", async () => {
  const { calls, callBacks, clock, settled } = setUp()
  expect([callBacks.instead(peer), callBacks.instead(peer)]).toEqual([true, true])
  expect(calls).toHaveLength(1)
  calls[0]?.resolve()
  await settled()
  clock.now = 10_000
  expect(callBacks.instead(peer)).toBe(true)
  expect(calls).toHaveLength(2)
})

it("lets in whom it could not call, for 10 min", async () => {
  const { calls, callBacks, clock, settled } = setUp()
  expect(callBacks.instead(peer)).toBe(true)
  calls[0]?.reject(new Error("no way"))
  await settled()
  clock.now = 599_999
  expect(callBacks.instead(peer)).toBe(false)
  clock.now = 600_000
  expect(callBacks.instead(peer)).toBe(true)
})

it("lets in whose connection was lost as soon as it was called, for 10 min: it does the same", async () => {
  const { calls, callBacks, clock, settled } = setUp()
  expect(callBacks.instead(peer)).toBe(true)
  calls[0]?.resolve()
  await settled()
  clock.now = 9_999
  expect([callBacks.instead(peer), callBacks.instead(peer)]).toEqual([false, false])
  clock.now = 609_998
  expect(callBacks.instead(peer)).toBe(false)
  expect(calls).toHaveLength(1)
  clock.now = 609_999
  expect(callBacks.instead(peer)).toBe(true)
})

it("lets in who has no address, and who is there already", () => {
  expect(setUp({ isKnown: false }).callBacks.instead(peer)).toBe(false)
  expect(setUp({ upFor: 2_000 }).callBacks.instead(peer)).toBe(false)
})

it("refuses what is begun at the moment in which its own call succeeds, and calls nobody again", () => {
  const { calls, callBacks } = setUp({ upFor: 1_999 })
  expect(callBacks.instead(peer)).toBe(true)
  expect(calls).toHaveLength(0)
})
