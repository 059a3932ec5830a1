import * as fc from "fast-check"
import { expect, test } from "vitest"
import { EventQueue } from "./EventQueue.ts"

test("runs events in the order of their time, and in that of putting in when it is equal", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(50), { maxLength: 3_000 }), (delays) => {
      const queue = new EventQueue()
      const ran: Array<number> = []
      for (const [index, delay] of delays.entries()) queue.after(delay, () => ran.push(index))
      queue.advance(50)
      const order = delays.map((_, index) => index).sort((a, b) => delays[a]! - delays[b]! || a - b)
      expect(ran).toEqual(order)
      expect(queue.size).toBe(0)
    }),
    { numRuns: 50 }
  )
})

test("events put in by events have their turn, and what is not due yet waits", () => {
  const queue = new EventQueue()
  const times: Array<number> = []
  const again = () => {
    times.push(queue.now)
    queue.after(10, again)
  }
  again()
  queue.advance(25)
  expect(times).toEqual([0, 10, 20])
  expect(queue.now).toBe(25)
  queue.at(3, () => times.push(-1))
  queue.advance(5)
  expect(times).toEqual([0, 10, 20, -1, 30])
})
