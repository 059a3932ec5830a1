import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import { type PlacedHost, Placement, shardCount, shardOf } from "./Placement.ts"

const shards = Array.from({ length: shardCount }, (_, shard) => shard)

const key = fc.string({ minLength: 1, maxLength: 40 })
const host = fc.record({ key, weight: fc.integer({ min: 1, max: 1_000 }) })
const hosts = fc.uniqueArray(host, { minLength: 1, maxLength: 12, selector: (one) => one.key })

const ownersOf = (all: ReadonlyArray<PlacedHost>): ReadonlyArray<string | undefined> => {
  const placement = new Placement("Cart", all)
  return shards.map((shard) => placement.owner(shard))
}

const alike = (count: number, weight = 100): ReadonlyArray<PlacedHost> =>
  Array.from({ length: count }, (_, i) => ({ key: `12D3KooW${i}/actor-cart/program`, weight }))

const sharesOf = (all: ReadonlyArray<PlacedHost>, types = 40): ReadonlyArray<number> => {
  const counts = new Map(all.map(({ key }) => [key, 0]))
  for (let type = 0; type < types; type++) {
    const placement = new Placement(`T${type}`, all)
    for (const shard of shards) {
      const owner = placement.owner(shard)!
      counts.set(owner, counts.get(owner)! + 1)
    }
  }
  return [...counts.values()].map((count) => count / (types * shardCount))
}

describe("Placement", () => {
  it("gives everybody the same answer, whatever the order they heard of the hosts in", () => {
    fc.assert(
      fc.property(hosts, fc.infiniteStream(fc.nat()), (all, order) => {
        const shuffled = all
          .map((one) => ({ one, at: order.next().value as number }))
          .sort((a, b) => a.at - b.at)
          .map(({ one }) => one)
        expect(ownersOf(shuffled)).toEqual(ownersOf(all))
      })
    )
  })

  it("moves to a host that comes, and nothing else", () => {
    fc.assert(
      fc.property(hosts, host, (all, newcomer) => {
        fc.pre(!all.some((one) => one.key === newcomer.key))
        const before = ownersOf(all)
        const after = ownersOf([...all, newcomer])
        const moved = shards.filter((shard) => after[shard] !== before[shard])
        expect(moved.filter((shard) => after[shard] !== newcomer.key)).toEqual([])
      })
    )
  })

  it("moves what a host had that goes, and nothing else", () => {
    fc.assert(
      fc.property(hosts, fc.nat(), (all, choice) => {
        const gone = all[choice % all.length]!
        const before = ownersOf(all)
        const after = ownersOf(all.filter((one) => one !== gone))
        const moved = shards.filter((shard) => after[shard] !== before[shard])
        expect(moved).toEqual(shards.filter((shard) => before[shard] === gone.key))
      })
    )
  })

  it("moves only towards a host that weighs more than before", () => {
    fc.assert(
      fc.property(hosts, fc.nat(), fc.integer({ min: 1, max: 1_000 }), (all, choice, more) => {
        const heavier = all[choice % all.length]!
        const before = ownersOf(all)
        const after = ownersOf(
          all.map((one) => (one === heavier ? { ...one, weight: one.weight + more } : one))
        )
        const moved = shards.filter((shard) => after[shard] !== before[shard])
        expect(moved.filter((shard) => after[shard] !== heavier.key)).toEqual([])
      })
    )
  })

  it("gives each its share by weight", () => {
    for (const share of sharesOf(alike(8))) expect(Math.abs(share * 8 - 1)).toBeLessThan(0.1)
    const [light, heavy] = sharesOf([
      { key: "light", weight: 100 },
      { key: "heavy", weight: 300 }
    ])
    expect(heavy! / light!).toBeGreaterThan(2.7)
    expect(heavy! / light!).toBeLessThan(3.3)
  })

  it("gives each zone its share by what its hosts weigh, also of a zone that is lost", () => {
    const zoneOf = (key: string): string => key.slice(0, 2)
    const all = ["eu1", "eu2", "us1", "as1"].map((key) => ({
      key,
      weight: key === "as1" ? 200 : 100
    }))
    const [lost, whole] = [new Map<string, number>(), new Map<string, number>()]
    for (let type = 0; type < 80; type++) {
      const before = new Placement(`T${type}`, all)
      const after = new Placement(
        `T${type}`,
        all.filter(({ key }) => zoneOf(key) !== "eu")
      )
      for (const shard of shards) {
        const zone = zoneOf(before.owner(shard)!)
        whole.set(zone, (whole.get(zone) ?? 0) + 1)
        const next = zoneOf(after.owner(shard)!)
        if (zone === "eu") lost.set(next, (lost.get(next) ?? 0) + 1)
        else expect(next).toBe(zone)
      }
    }
    const share = (of: ReadonlyMap<string, number>, zone: string): number =>
      of.get(zone)! / [...of.values()].reduce((sum, count) => sum + count)
    expect(share(whole, "eu")).toBeCloseTo(0.4, 1)
    expect(share(whole, "us")).toBeCloseTo(0.2, 1)
    expect(share(whole, "as")).toBeCloseTo(0.4, 1)
    expect(share(lost, "us")).toBeCloseTo(1 / 3, 1)
    expect(share(lost, "as")).toBeCloseTo(2 / 3, 1)
  })

  it("spreads ids over the shards", () => {
    const counts = shards.map(() => 0)
    for (let i = 0; i < shardCount * 100; i++) counts[shardOf(`user-${i}`)]!++
    expect(Math.min(...counts)).toBeGreaterThan(50)
    expect(Math.max(...counts)).toBeLessThan(160)
  })

  it("has nobody where nobody offers it", () => {
    expect(Placement.nobody.owner(7)).toBeUndefined()
    expect(new Placement("Cart", alike(1)).owner(7)).toBe(alike(1)[0]!.key)
  })
})
