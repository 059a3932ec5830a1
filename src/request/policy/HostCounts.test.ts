import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { clearColumn, countMemory, HostCounts } from "./HostCounts.ts"

/** As many threads of one node count one name. */
const threads = (number: number, name: string, memory = countMemory()) =>
  Array.from({ length: number }, (_, thread) => new HostCounts(memory, thread, number).count(name))

describe("what the threads of a host have", () => {
  it("is the sum of what each has", () => {
    const [a, b, c] = threads(3, "x")
    for (const count of [a, b, b, c, c, c]) expect(count!.add()).toBe(true)
    expect([a!.own, b!.own, c!.own, a!.of(2), b!.total]).toEqual([1, 2, 3, 3, 6])
    b!.remove()
    expect([a!.total, c!.of(1)]).toEqual([5, 1])
  })

  it("is without that of one that has begun anew", () => {
    const memory = countMemory()
    const [a, b] = threads(2, "x", memory)
    for (let i = 0; i < 700; i++) a!.add()
    b!.add()
    clearColumn(memory, 0)
    expect([a!.total, b!.total]).toEqual([1, 1])
    const again = new HostCounts(memory, 0, 2).count("x")
    again.add()
    expect(b!.total).toBe(2)
  })

  it("is counted together where a thread counts a name twice", () => {
    const counts = new HostCounts(countMemory(), 0, 1)
    const [one, other] = [counts.count("x"), counts.count("x")]
    one.add()
    other.add()
    other.remove()
    other.add()
    expect([one.own, other.total]).toEqual([2, 2])
  })

  it("of one name is nothing to another, and the room of one that is 0 is another's", () => {
    const counts = new HostCounts(countMemory(), 0, 1)
    // Many times as many names as there is room for at a time.
    for (let round = 0; round < 20; round++) {
      const some = Array.from({ length: 300 }, (_, i) => counts.count(`${round}/${i}`))
      some.forEach((count, i) => {
        for (let n = 0; n < 1 + (i % 3); n++) count.add()
      })
      expect(some.filter((count, i) => count.total !== 1 + (i % 3))).toEqual([])
      some.forEach((count, i) => {
        for (let n = 0; n < 1 + (i % 3); n++) count.remove()
      })
      expect(some.filter(({ total }) => total !== 0)).toEqual([])
    }
  })

  it("has no room for a further name where too many are counted, which is said", () => {
    const memory = countMemory()
    const counts = new HostCounts(memory, 0, 2)
    for (let i = 0; i < 20_000; i++) counts.count(`other ${i}`).add()
    const [a, b] = threads(2, "x", memory)
    expect([a!.add(), a!.own]).toEqual([false, 0])
    // In another's column there is.
    expect([b!.add(), a!.total]).toEqual([true, 1])
  })

  it("goes by the rules of plain numbers, whoever counts and begins anew", () => {
    const step = fc.record({
      thread: fc.nat(3),
      name: fc.nat(5),
      what: fc.constantFrom("add", "add", "remove", "crash")
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const memory = countMemory()
        const names = Array.from({ length: 6 }, (_, name) => threads(4, String(name), memory))
        const model = Array.from({ length: 6 }, () => [0, 0, 0, 0])
        for (const { name, thread, what } of steps) {
          const [count, own] = [names[name]![thread]!, model[name]!]
          if (what === "crash") {
            clearColumn(memory, thread)
            for (const numbers of model) numbers[thread] = 0
          } else if (what === "add") {
            count.add()
            own[thread]!++
          } else if (own[thread]! > 0) {
            count.remove()
            own[thread]!--
          }
          const sums = model.map((numbers) => numbers.reduce((a, b) => a + b))
          expect(names.map(([first]) => first!.total)).toEqual(sums)
        }
      }),
      { numRuns: 50 }
    )
  })
})
