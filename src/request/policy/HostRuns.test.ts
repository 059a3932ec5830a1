import { Worker } from "node:worker_threads"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { HostRuns, runMemory } from "./HostRuns.ts"
import { OwnRunCount } from "./RunCount.ts"

/** As many threads of one node see one name. */
const threads = (count: number, name: string, memory = runMemory()) =>
  Array.from({ length: count }, () => new HostRuns(memory).count(name))

describe("failures in a row of a host", () => {
  it("are one count for all threads, which one of them finds full", () => {
    const [a, b] = threads(2, "x")
    expect([a!.add(3), b!.add(3), a!.value, b!.value]).toEqual([false, false, 2, 2])
    expect([b!.add(3), a!.value, b!.value]).toEqual([true, 0, 0])
    expect(a!.add(3)).toBe(false)
  })

  it("are over with a success in any thread", () => {
    const [a, b] = threads(2, "x")
    a!.add(3)
    b!.clear()
    expect([a!.value, a!.add(2), b!.add(2)]).toEqual([0, false, true])
  })

  it("reach a threshold that has become lower meanwhile", () => {
    const [a, b] = threads(2, "x")
    for (let i = 0; i < 4; i++) a!.add(100)
    expect(b!.add(3)).toBe(true)
  })

  it("reach a threshold of one at once", () => {
    const [a] = threads(1, "x")
    expect([a!.add(1), a!.add(1), a!.value]).toEqual([true, true, 0])
  })

  it("count as high as a policy may say", () => {
    const [a] = threads(1, "x")
    for (let i = 1; i < 1_000_000; i++) if (a!.add(1_000_000)) throw new Error(`full at ${i}`)
    expect(a!.add(1_000_000)).toBe(true)
  })

  it("of one name are nothing to another", () => {
    const failures = new HostRuns(runMemory())
    const counts = Array.from({ length: 2_000 }, (_, i) => failures.count(`peer/service/${i}`))
    counts.forEach((count, i) => {
      for (let n = 0; n < 1 + (i % 5); n++) count.add(10)
    })
    expect(counts.filter((count, i) => count.value !== 1 + (i % 5))).toEqual([])
    for (const count of counts) count.clear()
    expect(counts.filter(({ value }) => value !== 0)).toEqual([])
  })

  it("are counted by each thread for itself when there is no room", () => {
    const memory = runMemory()
    const failures = new HostRuns(memory)
    // Every place is taken: so many fail at once.
    for (let i = 0; i < 40_000; i++) failures.count(`other ${i}`).add(10)
    const [a, b] = threads(2, "x", memory)
    expect([a!.add(2), b!.add(2), a!.add(2), b!.add(2)]).toEqual([false, false, true, true])
    a!.add(3)
    a!.clear()
    expect(a!.value).toBe(0)
  })

  it("go by the same rules as those of one thread, whoever counts", () => {
    const step = fc.record({ thread: fc.nat(3), name: fc.nat(2), success: fc.boolean() })
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60 }),
        fc.integer({ min: 1, max: 4 }),
        (steps, limit) => {
          const memory = runMemory()
          const shared = [0, 1, 2].map((name) => threads(4, String(name), memory))
          const own = [0, 1, 2].map(() => new OwnRunCount())
          for (const { name, success, thread } of steps) {
            const [one, other] = [shared[name]![thread]!, own[name]!]
            if (success) {
              one.clear()
              other.clear()
            } else expect(one.add(limit)).toBe(other.add(limit))
            expect(one.value).toBe(other.value)
          }
        }
      )
    )
  })

  it("lose none of what threads count at the same moment", async () => {
    const [workers, names, each, threshold] = [4, 300, 25, 100]
    const memory = runMemory()
    const start = new Int32Array(new SharedArrayBuffer(4))
    const file = new URL("./HostRuns.ts", import.meta.url).href
    // All come to the same name at the same time, and enter it together.
    const code = `
      import { workerData } from "node:worker_threads"
      import { HostRuns } from ${JSON.stringify(file)}
      const { each, memory, names, start, threshold, workers } = workerData
      const failures = new HostRuns(memory)
      for (let name = 0; name < names; name++) {
        const count = failures.count(String(name))
        Atomics.add(start, 0, 1)
        while (Atomics.load(start, 0) < workers * (name + 1));
        for (let i = 0; i < each; i++) if (count.add(threshold + 1)) throw new Error("full too early")
      }`
    const url = new URL(`data:text/javascript,${encodeURIComponent(code)}`)
    const workerData = { each, memory, names, start, threshold, workers }
    await Promise.all(
      Array.from(
        { length: workers },
        () =>
          new Promise<void>((resolve, reject) => {
            const worker = new Worker(url, { workerData })
            worker.once("error", reject)
            worker.once("exit", () => resolve())
          })
      )
    )
    const failures = new HostRuns(memory)
    const counts = Array.from({ length: names }, (_, name) => failures.count(String(name)))
    expect(new Set(counts.map(({ value }) => value))).toEqual(new Set([threshold]))
    expect(counts.every((count) => count.add(threshold + 1))).toBe(true)
    expect(counts.every(({ value }) => value === 0)).toBe(true)
  })
})
