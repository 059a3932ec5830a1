import { describe, expect, it } from "vitest"
import { EventQueue } from "../testing/simulator/EventQueue.ts"
import { forcedText, Handover, type Released } from "./Handover.ts"

const run = (
  onAsked: (queue: EventQueue, then: (released: Released) => void) => void = () => undefined
) => {
  const queue = new EventQueue()
  const news: Array<string> = []
  let answer: (released: Released) => void = () => undefined
  const handover = new Handover(
    {
      hosts: { isThere: () => true, there: [] },
      self: "b",
      release: (_holder, _shard, _options, then) => {
        answer = then
        onAsked(queue, then)
      },
      after: (millis, then) => {
        let isOff = false
        queue.after(millis, () => !isOff && then())
        return () => {
          isOff = true
        }
      },
      now: () => queue.now,
      onForced: () => news.push(`forced at ${queue.now}`)
    },
    7,
    ["a"],
    {
      onHolder: () => undefined,
      onSilence: () => undefined,
      then: () => news.push(`opened at ${queue.now}`)
    }
  )
  handover.begin()
  return { queue, news, answer: (released: Released) => answer(released) }
}

/** Waited for there, with an answer each two seconds, for 20 s. */
const waiting = () => {
  const { answer, news, queue } = run()
  answer({ kind: "kept", runs: true })
  for (let i = 0; i < 10; i++) {
    queue.advance(2_000)
    answer({ kind: "kept", runs: true })
  }
  return { answer, news, queue }
}

describe("who waits for a shard that another host runs", () => {
  it("does not take it for one answer that is lost", () => {
    const { answer, news, queue } = waiting()
    answer({ kind: "silent" })
    queue.advance(1_000)
    answer({ kind: "kept", runs: true })
    queue.advance(60_000)
    expect(news).toEqual([])
  })

  it("takes it when nothing is heard for as long as one may take", () => {
    const { answer, news, queue } = waiting()
    queue.advance(10_000)
    answer({ kind: "silent" })
    queue.advance(1_000)
    expect(news).toEqual(["forced at 30050", "opened at 30050"])
  })

  it("goes on asking a while when it ends there and is not given up", () => {
    const { answer, news, queue } = waiting()
    answer({ kind: "kept", runs: false })
    queue.advance(5_000)
    expect(news).toEqual([])
    answer({ kind: "released", others: [] })
    expect(news).toEqual(["opened at 25000"])
  })
})

describe("who waits for a host of a release that holds no answer back", () => {
  it.each<Released>([{ kind: "queued" }, { kind: "leaving" }, { kind: "kept", runs: true }])(
    "does not ask it without pause while it says $kind",
    (says) => {
      let asked = 0
      const { queue } = run((network, then) => {
        asked++
        network.after(1, () => then(says))
      })
      queue.advance(1_000)
      // Each 50 ms, and a few at once before that.
      expect(asked).toBeGreaterThan(15)
      expect(asked).toBeLessThan(30)
    }
  )
})

it("what it says where it has waited in vain depends on whether a lease keeps others out", () => {
  const what = { type: "Cart", shard: 7, holder: "host-a" }
  expect(forcedText(what, false)).toBe(
    "shard 7 of Cart is run here, though host-a has not said that it has let it go; an actor of it may run twice until that has heard of this host"
  )
  expect(forcedText(what, true)).toBe(
    "shard 7 of Cart is wanted here, though host-a has not said that it has let it go; none of its actors runs twice: it is run when the store grants its lease"
  )
})
