import { describe, expect, it } from "vitest"
import { Waiters } from "./Waiters.ts"

describe("Waiters", () => {
  it("are called once, in order, also when one function waits twice", () => {
    const waiters = new Waiters()
    const called: Array<string> = []
    const twice = () => called.push("twice")
    waiters.add(twice)
    waiters.add(() => called.push("other"))
    waiters.add(twice)
    waiters.wake()
    waiters.wake()
    expect(called).toEqual(["twice", "other", "twice"])
  })

  it("can stop waiting, each by itself and each other, also while they are called", () => {
    const waiters = new Waiters()
    const called: Array<number> = []
    const stop = waiters.add(() => called.push(0))
    waiters.add(() => {
      called.push(1)
      stopLast()
    })
    const stopLast = waiters.add(() => called.push(2))
    stop()
    stop()
    waiters.wake()
    stopLast()
    expect([called, waiters.size]).toEqual([[1], 0])
  })

  it("that begin to wait while others are called wait for the next time", () => {
    const waiters = new Waiters()
    let called = 0
    const again = () => {
      called++
      waiters.add(again)
    }
    waiters.add(again)
    waiters.wake()
    expect([called, waiters.size]).toEqual([1, 1])
  })
})
