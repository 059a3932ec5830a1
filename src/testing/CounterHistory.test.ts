import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { type Attempt, judgeCounters, type Read } from "./CounterHistory.ts"
import { seededRandom } from "./simulator/EventQueue.ts"

interface Run {
  readonly attempts: Array<Attempt>
  readonly reads: Array<Read>
  readonly ends: Map<string, number>
}

/** Increments that overlap, are tried again and sometimes not answered, and reads among them: all as it should be. */
const play = (seed: number): Run => {
  const random = seededRandom(seed)
  const done = new Map<string, number>()
  const run: Run = { attempts: [], reads: [], ends: new Map() }
  let value = 0
  let time = 0
  for (let index = 0; index < 20; index++) {
    const key = `k${index}`
    for (let tries = 1 + Math.floor(random() * 3); tries > 0; tries--) {
      // The moment it is done lies between begin and end, which overlap those of others.
      time += 1 + random()
      const [began, at] = [time - random() * 3, time + random() * 3]
      if (!done.has(key) && random() < 0.9) done.set(key, ++value)
      const answer = done.get(key)
      if (answer === undefined || random() < 0.2) run.attempts.push({ counter: "c", key, began })
      else run.attempts.push({ counter: "c", key, began, answer: { at, value: answer } })
    }
    if (random() < 0.5) continue
    time += 1
    run.reads.push({ counter: "c", began: time - random(), at: time + random(), value })
  }
  run.ends.set("c", value)
  return run
}

/** One of the answers of a run, by a number of chance. */
const answered = ({ attempts }: Run, chance: number) => {
  const all = attempts.flatMap(({ answer }) => (answer === undefined ? [] : [answer]))
  fc.pre(all.length > 0)
  return all[chance % all.length]!
}

const seeds = fc.integer({ min: 0, max: 1e9 })

describe("the judge of counters", () => {
  it("finds nothing in what a counter does that is right", () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const { attempts, ends, reads } = play(seed)
        expect(judgeCounters(attempts, reads, ends)).toEqual([])
      })
    )
  })

  const attempt = (key: string, began: number, at?: number, value = 0): Attempt => ({
    ...{ counter: "c", key, began },
    ...(at === undefined ? {} : { answer: { at, value } })
  })
  const ends = (value: number) => new Map([["c", value]])

  it.each([
    [
      "a lost one at the end",
      [attempt("a", 0, 1, 1), attempt("b", 2, 3, 2)],
      1,
      "b was answered 2, and the end is 1: it is lost"
    ],
    [
      "a lost one among others",
      [attempt("a", 0, 5, 1), attempt("b", 0, 5, 1)],
      2,
      "a and b were both answered 1: one of them is lost"
    ],
    [
      "one that was done twice",
      [attempt("a", 0, 1, 1), attempt("a", 2, 3, 2)],
      2,
      "a was answered 1 and 2: done twice"
    ],
    [
      "one that was done twice without an answer",
      [attempt("a", 0), attempt("a", 2)],
      2,
      "1 increments led to 2: some were done twice"
    ],
    [
      "an answer out of order",
      [attempt("a", 0, 1, 2), attempt("b", 2, 3, 1)],
      2,
      "b, answered 1, began after a, answered 2, had ended"
    ],
    ["an answer of nothing", [attempt("a", 0, 1, 0)], 1, "a was answered 0"]
  ] as const)("finds %s", (_, attempts, end, fault) => {
    expect(judgeCounters(attempts, [], ends(end)).join("\n")).toContain(fault)
  })

  it("finds reads from the past and from the future, and a counter nobody has read", () => {
    const attempts = [attempt("a", 0, 1, 1), attempt("b", 10, 11, 2)]
    const read = (began: number, at: number, value: number): Read => ({
      counter: "c",
      began,
      at,
      value
    })
    expect(judgeCounters(attempts, [read(2, 3, 1), read(0, 12, 2)], ends(2))).toEqual([])
    expect(judgeCounters(attempts, [read(12, 13, 1)], ends(2))).toEqual([
      "c: a read of 1 began after b, answered 2, had ended"
    ])
    expect(judgeCounters(attempts, [read(3, 4, 2)], ends(2))).toEqual([
      "c: b, answered 2, began after a read of 2 had ended"
    ])
    expect(judgeCounters(attempts, [], new Map())).toEqual(["c: nobody has read it at the end"])
  })

  it("finds an increment that was acknowledged and is lost, whichever it is", () => {
    fc.assert(
      fc.property(seeds, fc.nat(), (seed, chance) => {
        const run = play(seed)
        const lost = answered(run, chance).value
        // Whoever came later counted on from where it was before.
        const without = (value: number) => (value > lost ? value - 1 : value)
        const attempts = run.attempts.map(
          ({ answer, ...rest }): Attempt =>
            answer === undefined
              ? rest
              : { ...rest, answer: { ...answer, value: without(answer.value) } }
        )
        const reads = run.reads.map((read) => ({ ...read, value: without(read.value) }))
        const end = run.ends.get("c")! - 1
        // Unless nobody was told what came right after it: then it may have been that one.
        fc.pre(
          lost > end ||
            attempts
              .filter((it) => it.answer?.value === lost)
              .some((it, _, all) => it.key !== all[0]!.key)
        )
        expect(judgeCounters(attempts, reads, ends(end))).not.toEqual([])
      })
    )
  })

  it("finds a read that does not show what was acknowledged before it", () => {
    fc.assert(
      fc.property(seeds, fc.nat(), (seed, chance) => {
        const run = play(seed)
        const { at, value } = answered(run, chance)
        const stale: Read = { counter: "c", began: at + 1e-6, at: at + 1, value: value - 1 }
        expect(judgeCounters(run.attempts, [...run.reads, stale], run.ends)).not.toEqual([])
      })
    )
  })
})
