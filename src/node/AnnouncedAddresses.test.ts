import { describe, expect, it } from "vitest"
import type { PeerKey } from "../model/Names.ts"
import { AnnouncedAddresses, checkTimes, isCutOff, type Verdict } from "./AnnouncedAddresses.ts"

const [a, b] = ["/ip4/10.0.0.1/tcp/4001", "/dns4/a.example/tcp/4001"] as [string, string]
const peer = (n: number) => `peer-${n}` as PeerKey // only passed on
const wall = 1_800_000_000_000
const yes: Verdict = { reached: true, by: [peer(1)] }
const no: Verdict = { reached: false, by: [peer(1), peer(2)] }

class Run {
  readonly book = new AnnouncedAddresses()
  now = 0

  constructor(...addresses: ReadonlyArray<string>) {
    this.book.follow(addresses, 0)
  }

  hear(verdict: Verdict | undefined, address = a) {
    return this.book.heard(address, verdict, { now: this.now, wall: wall + this.now, random: 0.5 })
  }

  /** Until the next is due: how long that is. */
  wait(): number {
    const before = this.now
    this.now = this.book.nextAt ?? before
    return this.now - before
  }

  get state() {
    return this.book.reports()[0]?.state
  }
}

describe("an announced address", () => {
  it("is untried at first, and due at once", () => {
    const { book } = new Run(a, b)
    expect(book.due(0)).toEqual([a, b])
    expect(book.reports()[0]).toEqual({
      address: a,
      state: "untried",
      checkedAt: undefined,
      by: []
    })
    expect(new Run().book.nextAt).toBeUndefined()
  })

  it("is proven by one member that reaches it, and tried again later", () => {
    const run = new Run(a)
    expect(run.hear(yes)).toBeUndefined()
    expect(run.book.reports()).toEqual([
      { address: a, state: "reached", checkedAt: wall, by: [peer(1)] }
    ])
    expect(run.wait()).toBe(checkTimes.reached)
    expect(run.hear(yes)).toBeUndefined()
    expect(run.book.reports()[0]?.checkedAt).toBe(wall + checkTimes.reached)
  })

  it("is unreached when members said so twice; then it is tried ever less often, and can come back", () => {
    const run = new Run(a)
    expect(run.hear(no)).toBeUndefined()
    expect(run.state).toBe("untried")
    expect(run.wait()).toBe(checkTimes.confirm)
    expect(run.hear(no)).toBe("lost")
    expect(run.book.reports()[0]).toMatchObject({ by: [peer(1), peer(2)] })
    const pauses = Array.from({ length: 6 }, () => {
      const pause = run.wait()
      expect(run.hear(no)).toBeUndefined()
      return pause / 60_000
    })
    expect(pauses).toEqual([1, 2, 4, 8, 16, 16])
    expect(run.hear(yes)).toBe("back")
    expect(run.hear(no)).toBeUndefined()
    expect(run.wait()).toBe(checkTimes.confirm)
  })

  it("that was reached stays so, with its proof, through one miss", () => {
    const run = new Run(a)
    run.hear(yes)
    run.wait()
    run.hear(no)
    expect(run.book.reports()).toEqual([
      { address: a, state: "reached", checkedAt: wall, by: [peer(1)] }
    ])
    run.wait()
    expect(run.hear(yes)).toBeUndefined()
    run.hear(no)
    run.wait()
    expect(run.hear(no)).toBe("lost")
  })

  it("is asked about ever less often while nobody can say, and soon when somebody comes", () => {
    const run = new Run(a)
    const pauses = Array.from({ length: 8 }, () => {
      run.hear(undefined)
      return run.wait() / 1_000
    })
    expect(pauses).toEqual([1, 2, 4, 8, 16, 32, 60, 60])
    expect(run.state).toBe("untried")
    run.hear(undefined)
    for (let n = 0; n < 100; n++) run.book.memberUp(run.now + n)
    expect(run.book.due(run.now + 100)).toEqual([])
    expect(run.wait()).toBe(checkTimes.silent)
    // One that was answered has its time.
    run.hear(yes)
    run.book.memberUp(run.now)
    expect(run.book.due(run.now)).toEqual([])
  })

  it("keeps what was heard of it as long as it is announced", () => {
    const run = new Run(a, b)
    run.hear(yes)
    run.book.follow([b, a, a], 5)
    expect(run.book.reports().map(({ state }) => state)).toEqual(["untried", "reached"])
    run.book.follow([b], 5)
    expect(run.hear(yes)).toBeUndefined()
    run.book.follow([a], 6)
    expect(run.state).toBe("untried")
  })

  it("one that is reached is enough not to be cut off", () => {
    const run = new Run(a, b)
    const unreached = (address: string) => {
      for (let n = 0; n < 2; n++) run.hear(no, address)
    }
    expect(isCutOff(run.book.reports())).toBe(false)
    unreached(a)
    expect(isCutOff(run.book.reports())).toBe(false)
    unreached(b)
    expect(isCutOff(run.book.reports())).toBe(true)
    run.hear(yes, b)
    expect(isCutOff(run.book.reports())).toBe(false)
    expect(isCutOff([])).toBe(false)
  })
})
