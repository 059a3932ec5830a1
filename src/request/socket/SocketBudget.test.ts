import { describe, expect, it } from "vitest"
import { type Keeper, SocketBudget, type SocketLane, type Waiter } from "./SocketBudget.ts"

const takeAll = (lane: SocketLane): number => {
  let taken = 0
  while (lane.take()) taken++
  return taken
}

/** A pool that wants one place, and keeps `idle` of its own. */
class Pool implements Keeper, Waiter {
  readonly #lane: SocketLane
  idle = 0
  got = 0
  constructor(lane: SocketLane) {
    this.#lane = lane
    lane.keep(this)
  }
  onRoom(): void {
    if (this.#lane.take()) this.got++
    else this.#lane.wait(this)
  }
  closeOneIdle(): boolean {
    if (this.idle === 0) return false
    this.idle--
    this.#lane.give()
    return true
  }
}

describe("SocketBudget", () => {
  it("leaves each lane a quarter, however much the other takes", () => {
    for (const first of ["clients", "programs"] as const) {
      const budget = new SocketBudget(20)
      const second = first === "clients" ? "programs" : "clients"
      expect(takeAll(budget[first])).toBe(15)
      expect(takeAll(budget[second])).toBe(5)
      expect(budget.held).toBe(20)
    }
  })

  it("keeps nothing for a lane that nobody uses", () => {
    const budget = new SocketBudget(20)
    budget.programs.used = false
    expect(takeAll(budget.clients)).toBe(20)
  })

  it("is never without a place for either lane, be it as small as can be", () => {
    const budget = new SocketBudget(2)
    expect(takeAll(budget.clients)).toBe(1)
    expect(takeAll(budget.programs)).toBe(1)
  })

  it("gives what came free to who has waited longest, in turns", () => {
    const budget = new SocketBudget(4)
    budget.clients.used = false
    const [a, b] = [new Pool(budget.programs), new Pool(budget.programs)]
    takeAll(budget.programs)
    a.onRoom()
    b.onRoom()
    budget.programs.give()
    expect([a.got, b.got]).toEqual([1, 0])
    a.onRoom()
    budget.programs.give()
    expect([a.got, b.got]).toEqual([1, 1])
    budget.programs.waitNoMore(a)
    budget.programs.give()
    expect([a.got, b.got]).toEqual([1, 1])
  })

  it("closes what another keeps idle for who needs it", () => {
    const budget = new SocketBudget(4)
    budget.clients.used = false
    const pool = new Pool(budget.programs)
    takeAll(budget.programs)
    pool.idle = 1
    expect(budget.programs.take()).toBe(true)
    expect(pool.idle).toBe(0)
    expect(budget.programs.take()).toBe(false)
    expect(budget.held).toBe(4)
  })

  it("closes what the other lane keeps idle, but not in vain", () => {
    const budget = new SocketBudget(8)
    const pool = new Pool(budget.programs)
    expect(takeAll(budget.programs)).toBe(6)
    pool.idle = 6
    expect(takeAll(budget.clients)).toBe(6)
    expect(pool.idle).toBe(2)
    expect(budget.held).toBe(8)
  })

  it("says who has more than its share while others wait", () => {
    const budget = new SocketBudget(4)
    budget.clients.used = false
    const [a, b] = [new Pool(budget.programs), new Pool(budget.programs)]
    takeAll(budget.programs)
    expect(budget.programs.owes(a, 4)).toBe(false)
    b.onRoom()
    expect(budget.programs.owes(a, 3)).toBe(true)
    expect(budget.programs.owes(a, 2)).toBe(false)
    expect(budget.programs.owes(b, 4)).toBe(false)
  })

  it("lends a few to say that there is no room", () => {
    const budget = new SocketBudget(4, 2)
    expect([1, 2, 3].map(() => budget.clients.borrow())).toEqual([true, true, false])
    budget.clients.giveBack()
    expect(budget.clients.borrow()).toBe(true)
  })

  it("lends more or fewer when it is told so, those that are lent counted", () => {
    const budget = new SocketBudget(4, 3)
    expect([1, 2].map(() => budget.clients.borrow())).toEqual([true, true])
    budget.resize(4, 1)
    expect(budget.clients.borrow()).toBe(false)
    budget.clients.giveBack()
    expect(budget.clients.borrow()).toBe(false)
    budget.clients.giveBack()
    expect([1, 2].map(() => budget.clients.borrow())).toEqual([true, false])
  })

  it("wakes those that wait when it grows, and takes nothing away when it shrinks", () => {
    const budget = new SocketBudget(2)
    budget.clients.used = false
    const pool = new Pool(budget.programs)
    takeAll(budget.programs)
    pool.onRoom()
    budget.resize(3)
    expect(pool.got).toBe(1)
    budget.resize(1)
    expect(budget.held).toBe(3)
    expect(budget.programs.take()).toBe(false)
  })
})
