import { describe, expect, it } from "@effect/vitest"
import { Departures, wave, wavePatience } from "./Departures.ts"

class Host {
  readonly begun: Array<number> = []
  readonly timers = new Set<{ readonly at: number; readonly then: () => void }>()
  now = 0
  /** It is done with these at once. */
  readonly empty = new Set<number>()
  readonly departures = new Departures({
    begin: (shard) => {
      this.begun.push(shard)
      if (this.empty.has(shard)) this.departures.ended(shard)
    },
    after: (millis, then) => {
      const timer = { at: this.now + millis, then }
      this.timers.add(timer)
      return () => void this.timers.delete(timer)
    }
  })

  pass(millis: number): void {
    this.now += millis
    for (const timer of [...this.timers]) {
      if (timer.at > this.now) continue
      this.timers.delete(timer)
      timer.then()
    }
  }
}

const numbers = (from: number, to: number): ReadonlyArray<number> =>
  Array.from({ length: to - from }, (_, i) => from + i)

describe("shards that leave", () => {
  it("do so a few at a time, each when another has left", () => {
    const { begun, departures } = new Host()
    departures.add(numbers(0, 40))
    expect(begun).toEqual(numbers(0, wave))
    expect(departures.waits(wave - 1)).toBe(false)
    expect(departures.waits(wave)).toBe(true)
    for (const shard of numbers(0, 5)) departures.ended(shard)
    expect(begun).toEqual(numbers(0, wave + 5))
    // Once is enough.
    departures.ended(0)
    departures.add(numbers(0, 1))
    expect(begun).toHaveLength(wave + 5)
  })

  it("are not held up by those that take long", () => {
    const host = new Host()
    host.departures.add(numbers(0, 40))
    host.pass(wavePatience)
    expect(host.begun).toEqual(numbers(0, 2 * wave))
    for (const shard of numbers(0, 2 * wave)) host.departures.ended(shard)
    expect(host.begun).toEqual(numbers(0, 40))
    host.pass(wavePatience)
    expect(host.timers.size).toBe(0)
  })

  it("all do so at once when there is nothing to end", () => {
    const host = new Host()
    for (const shard of numbers(0, 256)) host.empty.add(shard)
    host.departures.add(numbers(0, 256))
    expect(host.begun).toEqual(numbers(0, 256))
    expect(host.timers.size).toBe(0)
  })

  it("go first when somebody waits for them, who hears of their turn", () => {
    const host = new Host()
    const { departures } = host
    departures.add(numbers(0, 100))
    const turns: Array<string> = []
    departures.urge(90)
    departures.urge(80)
    departures.urge(90)
    departures.whenTurn(90, () => turns.push("90"))
    departures.whenTurn(80, () => turns.push("80"))
    departures.whenTurn(3, () => turns.push("3 has had it"))
    expect(turns).toEqual(["3 has had it"])
    departures.ended(0)
    expect(host.begun.at(-1)).toBe(90)
    expect(turns.at(-1)).toBe("90")
    departures.ended(1)
    departures.ended(2)
    expect(host.begun.slice(-2)).toEqual([80, wave])
  })

  it("tell nobody of their turn who has given up waiting for it", () => {
    const host = new Host()
    host.departures.add(numbers(0, 100))
    const turns: Array<string> = []
    host.departures.urge(90)
    const giveUp = host.departures.whenTurn(90, () => turns.push("given up"))
    host.departures.whenTurn(90, () => turns.push("waits"))
    giveUp()
    host.departures.ended(0)
    expect(turns).toEqual(["waits"])
    giveUp()
  })

  it("stay when they are this host's again", () => {
    const { begun, departures } = new Host()
    departures.add(numbers(0, 20))
    departures.urge(19)
    const turns: Array<number> = []
    departures.whenTurn(19, () => turns.push(19))
    departures.drop(18)
    departures.drop(19)
    expect(turns).toEqual([19])
    for (const shard of numbers(0, 16)) departures.ended(shard)
    expect(begun).toEqual(numbers(0, 18))
  })
})
