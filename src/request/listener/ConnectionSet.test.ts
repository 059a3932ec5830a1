import { beforeEach, describe, expect, it } from "vitest"
import { HandTicker } from "../../testing/InboundFixture.ts"
import { turn } from "../../testing/ListenerFixture.ts"
import { ConnectionSet } from "./ConnectionSet.ts"

class Connection {
  destroyed = false
  destroy(): void {
    this.destroyed = true
  }
}

let ticker: HandTicker
let set: ConnectionSet<Connection>
beforeEach(() => {
  ticker = new HandTicker()
  set = new ConnectionSet()
})

const add = (): Connection => {
  const connection = new Connection()
  set.add(connection)
  return connection
}

const finish = (deadline: number) => {
  const finishing = { done: false }
  void set.finish(deadline, ticker).then(() => {
    finishing.done = true
  })
  return finishing
}

describe("finish", () => {
  it("is done at once when none is open, and leaves no timer", async () => {
    await set.finish(1_000, ticker)
    expect(ticker.timers).toBe(0)
  })

  it("waits for the last of them, and leaves no timer", async () => {
    const [one, other] = [add(), add()]
    const finishing = finish(1_000)
    set.delete(one)
    await turn()
    expect(finishing.done).toBe(false)
    set.delete(other)
    await turn()
    expect([finishing.done, ticker.timers]).toEqual([true, 0])
    expect([one.destroyed, other.destroyed]).toEqual([false, false])
  })

  it("destroys at the deadline what is left, and does not wait for it", async () => {
    const [polite, stubborn] = [add(), add()]
    const finishing = finish(1_000)
    set.delete(polite)
    ticker.advance(999)
    await turn()
    expect(finishing.done).toBe(false)
    ticker.advance(11)
    await turn()
    expect([finishing.done, polite.destroyed, stubborn.destroyed]).toEqual([true, false, true])
    set.delete(stubborn)
  })

  it("tells of one that cannot be destroyed, and does not break the clock", async () => {
    const connection = add()
    connection.destroy = () => {
      throw new Error("a defect")
    }
    const finishing = set.finish(1_000, ticker)
    ticker.advance(1_010)
    await expect(finishing).rejects.toThrow("a defect")
  })

  it("may be asked for by many, each with a deadline of its own", async () => {
    const connection = add()
    const [long, short] = [finish(2_000), finish(1_000)]
    ticker.advance(1_010)
    await turn()
    expect([long.done, short.done, connection.destroyed]).toEqual([false, true, true])
    set.delete(connection)
    await turn()
    expect([long.done, ticker.timers]).toEqual([true, 0])
  })
})
