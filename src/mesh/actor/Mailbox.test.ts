import * as fc from "fast-check"
import { expect, test } from "vitest"
import { Mailbox, type Overflow } from "./Mailbox.ts"

const drain = (box: Mailbox<number>): Array<number> => {
  const all: Array<number> = []
  for (let next = box.take(); next !== undefined; next = box.take()) all.push(next)
  return all
}

const filled = (overflow: Overflow) => {
  const box = new Mailbox<number>(3, overflow)
  const taken = [1, 2, 3, 4, 5].map((n) => box.offer(n))
  return { taken, dropped: box.dropped, left: drain(box) }
}

test.each([
  { overflow: "reject", taken: [true, true, true, false, false], left: [1, 2, 3] },
  { overflow: "drop-newest", taken: [true, true, true, false, false], left: [1, 2, 3] },
  { overflow: "drop-oldest", taken: [true, true, true, true, true], left: [3, 4, 5] }
] as const)("at its bound: $overflow", ({ overflow, taken, left }) => {
  expect(filled(overflow)).toEqual({ taken, left, dropped: 2 })
})

test("wakes its waiter once", () => {
  const box = new Mailbox<number>(2, "reject")
  let woken = 0
  box.onNext(() => woken++)
  box.offer(1)
  box.offer(2)
  expect(woken).toBe(1)
})

test("keeps order like a plain queue, whatever is put in and taken out", () => {
  const operation = fc.oneof(
    fc.record({ kind: fc.constant("offer" as const), value: fc.integer() }),
    fc.record({ kind: fc.constant("take" as const) })
  )
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.array(operation), (capacity, operations) => {
      const box = new Mailbox<number>(capacity, "drop-oldest")
      const model: Array<number> = []
      for (const next of operations) {
        if (next.kind === "offer") {
          box.offer(next.value)
          model.push(next.value)
          if (model.length > capacity) model.shift()
        } else expect(box.take()).toBe(model.shift())
        expect(box.size).toBe(model.length)
      }
      expect(drain(box)).toEqual(model)
    })
  )
})
