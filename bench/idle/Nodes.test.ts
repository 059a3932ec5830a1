import fc from "fast-check"
import { describe, expect, test } from "vitest"
import {
  inBatches,
  joinedAtOnce,
  killReport,
  type Sample,
  spreadOver,
  upTo,
  watchSightings,
  windowOf
} from "./Nodes.ts"

const sample = (
  nodes: ReadonlyArray<readonly [at: number, cpuMicros: number, residentBytes: number]>,
  network?: Sample["network"]
): Sample => ({
  nodes: nodes.map(([at, cpuMicros, residentBytes]) => ({ at, cpuMicros, residentBytes })),
  network
})

describe("a window", () => {
  test("is of one node, in the mean; each by its own clock, since reading many takes a while", () => {
    const before = sample([
      [0, 0, 1],
      [100, 5_000, 1]
    ])
    // 100 ms of 10 s, and 300 ms of 20 s.
    const after = sample([
      [10_000, 100_000, 90],
      [20_100, 305_000, 110]
    ])
    const { cpuPercent, residentBytes, bytesPerSecond } = windowOf(before, after)
    expect(cpuPercent).toBeCloseTo((1 + 1.5) / 2)
    expect(residentBytes).toBe(100)
    expect(bytesPerSecond).toBeNull()
  })

  test("shares the network's bytes among the nodes", () => {
    const node = [0, 0, 1] as const
    const later = [10_000, 0, 1] as const
    const before = sample([node, node], { at: 0, bytes: 1_000 })
    const after = sample([later, later], { at: 10_000, bytes: 41_000 })
    expect(windowOf(before, after).bytesPerSecond).toBe(2_000)
  })
})

describe("a kill", () => {
  test("is suspected and failed by the first, and known to all by the last", () => {
    const report = killReport([{ suspected: 900, failed: 5_000 }, { failed: 6_000 }])
    expect(report).toEqual({ suspected: 0.9, failed: 5, known: 6 })
  })

  test("is not known to all while one has not seen it", () => {
    expect(killReport([{ failed: 5_000 }, { suspected: 700 }])).toEqual({
      suspected: 0.7,
      failed: 5,
      known: null
    })
    expect(killReport([{}, {}])).toEqual({ suspected: null, failed: null, known: null })
  })

  test("who says dead at once, has suspected it by then", () => {
    expect(killReport([{ failed: 3_000 }]).suspected).toBe(3)
  })

  test("comes in this order, whatever was seen", () => {
    const ms = fc.option(fc.nat(60_000), { nil: undefined })
    const one = fc.tuple(ms, ms).map(([first, second]) => {
      const [suspected, failed] =
        first !== undefined && second !== undefined && first > second
          ? [second, first]
          : [first, second]
      return {
        ...(suspected === undefined ? {} : { suspected }),
        ...(failed === undefined ? {} : { failed })
      }
    })
    fc.assert(
      fc.property(fc.array(one, { minLength: 1 }), (sightings) => {
        const { suspected, failed, known } = killReport(sightings)
        if (failed !== null) expect(suspected).toBeLessThanOrEqual(failed)
        if (known !== null) expect(failed).toBeLessThanOrEqual(known)
        expect(known === null).toBe(sightings.some((it) => it.failed === undefined))
      })
    )
  })

  test("is watched until all have seen it, or until the time is over", async () => {
    let looks = 0
    const look = async () => (++looks < 3 ? [{}] : [{ failed: 40 }])
    expect((await watchSightings(look, 60, 0)).known).toBe(0.04)
    expect(looks).toBe(3)
    expect((await watchSightings(async () => [{}], 0, 0)).known).toBeNull()
  })
})

describe("many nodes", () => {
  test("are started some at a time, and come back in their order", async () => {
    let running = 0
    let most = 0
    const begun = await inBatches(upTo(8), async (index) => {
      most = Math.max(most, ++running)
      await new Promise((wake) => setImmediate(wake))
      running--
      return index
    })
    expect(begun).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    expect(most).toBe(joinedAtOnce)
  })

  test("one that fails, fails when its neighbours are done, and no more are started", async () => {
    const done: Array<number> = []
    const work = inBatches(upTo(6), async (index) => {
      if (index === 1) throw new Error("no")
      await new Promise((wake) => setImmediate(wake))
      done.push(index)
    })
    await expect(work).rejects.toThrow("no")
    expect(done).toEqual([2, 3])
  })

  test("are watched by some of them, from all over", () => {
    expect(spreadOver([1, 2, 3], 8)).toEqual([1, 2, 3])
    expect(spreadOver(upTo(30), 3)).toEqual([1, 11, 21])
    expect(upTo(0)).toEqual([])
  })
})
