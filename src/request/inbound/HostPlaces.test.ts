import { Worker } from "node:worker_threads"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { clearColumn, countMemory, HostCounts } from "../policy/HostCounts.ts"
import { HostPlaces } from "./HostPlaces.ts"

const placesOf = (threads: number, most: number, memory = countMemory(), name = "x") =>
  Array.from(
    { length: threads },
    (_, thread) =>
      new HostPlaces(
        new HostCounts(memory, thread, threads).count(name),
        most,
        Math.ceil(most / threads)
      )
  )

describe("places of a host", () => {
  it("are all one thread's where no other wants any", () => {
    const [a, b] = placesOf(8, 1_024)
    for (let i = 0; i < 1_024; i++) expect(a!.take()).toBe(true)
    expect([a!.take(), b!.take(), b!.taken]).toEqual([false, false, 1_024])
    a!.give()
    expect([b!.take(), a!.take()]).toEqual([true, false])
  })

  it("are taken anyway by what is only counted, and then for nobody else", () => {
    const [a, b] = placesOf(2, 1)
    a!.take()
    b!.takeAnyway()
    expect([a!.taken, a!.most]).toEqual([2, 1])
    b!.give()
    expect(b!.take()).toBe(false)
    a!.give()
    expect(b!.take()).toBe(true)
  })

  it("are a part of them in a thread that has no room to count them", () => {
    const memory = countMemory()
    const counts = new HostCounts(memory, 0, 4)
    for (let i = 0; i < 20_000; i++) counts.count(`other ${i}`).add()
    const [a, b] = placesOf(4, 100, memory)
    const taken = Array.from({ length: 100 }, () => a!.take()).filter(Boolean).length
    expect([taken, a!.taken, a!.held]).toEqual([25, 25, 25])
    a!.give()
    expect([a!.take(), a!.take(), b!.take()]).toEqual([true, false, true])
  })

  it("are never more than there are, none is lost with a thread, and what is free can be had", () => {
    const step = fc.record({
      thread: fc.nat(3),
      what: fc.constantFrom("take", "take", "take", "give", "crash")
    })
    const most = fc.integer({ min: 1, max: 6 })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), most, (steps, limit) => {
        const memory = countMemory()
        const places = placesOf(4, limit, memory)
        const model = [0, 0, 0, 0]
        const sum = () => model.reduce((a, b) => a + b)
        for (const { thread, what } of steps) {
          if (what === "crash") {
            clearColumn(memory, thread)
            model[thread] = 0
          } else if (what === "give") {
            if (model[thread] === 0) continue
            places[thread]!.give()
            model[thread]!--
          } else {
            const free = sum() < limit
            expect(places[thread]!.take()).toBe(free)
            if (free) model[thread]!++
          }
          expect(sum()).toBeLessThanOrEqual(limit)
          expect(places.map(({ taken }) => taken)).toEqual(Array(4).fill(sum()))
        }
      }),
      { numRuns: 50 }
    )
  })

  it("are never more than there are, and none is lost, where threads take and give at the same moment", async () => {
    const [workers, most, rounds] = [4, 2, 200_000]
    const memory = countMemory()
    /** Threads that have begun, and places that are truly taken. */
    const truth = new Int32Array(new SharedArrayBuffer(8))
    const at = (name: string) => JSON.stringify(new URL(name, import.meta.url).href)
    const code = `
      import { workerData } from "node:worker_threads"
      import { HostCounts } from ${at("../policy/HostCounts.ts")}
      import { HostPlaces } from ${at("./HostPlaces.ts")}
      const { memory, most, rounds, thread, truth, workers } = workerData
      const places = new HostPlaces(new HostCounts(memory, thread, workers).count("x"), most, 1)
      Atomics.add(truth, 0, 1)
      while (Atomics.load(truth, 0) < workers);
      let held = 0
      let got = 0
      const keep = (count) => {
        for (; held > count; held--) {
          Atomics.sub(truth, 1, 1)
          places.give()
        }
      }
      for (let round = 0; round < rounds; round++) {
        if (places.take()) {
          got++
          held++
          const now = Atomics.add(truth, 1, 1) + 1
          if (now > most) throw new Error(now + " are taken, of " + most)
        }
        // Now none, now some.
        keep(round % 2)
      }
      keep(0)
      if (got === 0) throw new Error("it got none")`
    const url = new URL(`data:text/javascript,${encodeURIComponent(code)}`)
    await Promise.all(
      Array.from(
        { length: workers },
        (_, thread) =>
          new Promise<void>((resolve, reject) => {
            const worker = new Worker(url, {
              workerData: { memory, most, rounds, thread, truth, workers }
            })
            worker.once("error", reject)
            worker.once("exit", () => resolve())
          })
      )
    )
    const [a] = placesOf(workers, most, memory)
    expect(a!.taken).toBe(0)
    const taken = Array.from({ length: most + 1 }, () => a!.take())
    expect(taken.filter(Boolean)).toHaveLength(most)
  })

  it("are had by one of two that come for the last at the same moment", async () => {
    const workers = 2
    const memory = countMemory()
    /** Arrivals at the begin of each round and at its end, the rounds there were, and those in which one got it. */
    const truth = new Int32Array(new SharedArrayBuffer(16))
    const at = (name: string) => JSON.stringify(new URL(name, import.meta.url).href)
    const code = `
      import { workerData } from "node:worker_threads"
      import { HostCounts } from ${at("../policy/HostCounts.ts")}
      import { HostPlaces } from ${at("./HostPlaces.ts")}
      const { memory, thread, truth, workers } = workerData
      const places = new HostPlaces(new HostCounts(memory, thread, workers).count("x"), 1, 1)
      const meet = (at, round) => {
        Atomics.add(truth, at, 1)
        while (Atomics.load(truth, at) < workers * round);
      }
      for (let round = 1; round <= 1_000; round++) {
        meet(0, round)
        const got = places.take()
        meet(1, round)
        if (thread === 0) Atomics.add(truth, 2, 1)
        if (!got) continue
        Atomics.add(truth, 3, 1)
        places.give()
      }`
    const url = new URL(`data:text/javascript,${encodeURIComponent(code)}`)
    await Promise.all(
      Array.from(
        { length: workers },
        (_, thread) =>
          new Promise<void>((resolve, reject) => {
            const worker = new Worker(url, { workerData: { memory, thread, truth, workers } })
            worker.once("error", reject)
            worker.once("exit", () => resolve())
          })
      )
    )
    expect(truth[2]).toBeGreaterThan(0)
    expect(truth[3]).toBe(truth[2])
  })
})
