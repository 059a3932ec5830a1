import * as fc from "fast-check"
import { expect, test } from "vitest"
import { SeenMessages } from "./Message.ts"

test("each node has seen what it has seen, and nothing that another one has", () => {
  const step = fc.tuple(
    fc.integer({ min: 0, max: 2 }),
    fc.integer({ min: 0, max: 2_000 }),
    fc.boolean()
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const seen = new SeenMessages(3)
      const reference = new Set<string>()
      for (const [node, number, comes] of steps) {
        if (comes) seen.add(node, number)
        else seen.remove(node, number)
        if (comes) reference.add(`${node} ${number}`)
        else reference.delete(`${node} ${number}`)
      }
      for (const [, number] of steps) {
        for (const node of [0, 1, 2]) {
          expect(seen.has(node, number)).toBe(reference.has(`${node} ${number}`))
        }
      }
    })
  )
})
