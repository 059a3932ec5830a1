/**
 * The engine of actors, whole, in a world where everything happens. What must hold whatever happens: two owners never
 * both save, no acknowledged save is lost, and nothing is done twice. What must hold once it is over: every actor has a
 * host within the bound. Hosts that come and go by themselves fail no call. Many seeds: test/long/actor-world.test.ts.
 */
import { describe, expect, it } from "vitest"
import { allTroubles, bound, run } from "./ActorTroubles.ts"

const seed = 1

describe("actors of a world", () => {
  it("answer every call while hosts come and go", async () => {
    const kinds = ["many leave and come back at once"] as const
    const { answered, faults, world } = await run({ seed, kinds, length: 30_000 })
    expect({ faults, failures: world.failures }, `seed ${seed}`).toEqual({
      faults: [],
      failures: []
    })
    expect(answered).toBeGreaterThan(120)
  })

  it.each(allTroubles)("save once what they acknowledge, while %s", async (kind) => {
    const { answered, faults, recovered } = await run({ seed, kinds: [kind], length: 20_000 })
    expect(faults, `seed ${seed}`).toEqual([])
    expect(recovered, `seed ${seed}`).toBeLessThanOrEqual(bound)
    expect(answered, `seed ${seed}`).toBeGreaterThan(80)
  })

  it("answer soon while hosts do not agree on whose they are", async () => {
    const kinds = ["a host does not hear that another is well again"] as const
    const { faults, world } = await run({ seed, kinds, length: 30_000 })
    const { attempts, failures } = world
    expect({ faults, failures }, `seed ${seed}`).toEqual({ faults: [], failures: [] })
    const took = attempts.map(({ answer, began }) => (answer?.at ?? Number.NaN) - began)
    expect(took.length, `seed ${seed}`).toBeGreaterThan(120)
    expect(Math.max(...took), `seed ${seed}`).toBeLessThan(1_000)
  })

  it.each([1, 2])(
    "save once what they acknowledge, while all of it happens (seed %i)",
    async (seed) => {
      const { faults, recovered } = await run({ seed, kinds: allTroubles, length: 40_000 })
      expect(faults, `seed ${seed}`).toEqual([])
      expect(recovered, `seed ${seed}`).toBeLessThanOrEqual(bound)
    }
  )

  it("do the same for the same seed, to the moment of each answer", async () => {
    const once = await run({ seed, kinds: allTroubles, length: 10_000 })
    const again = await run({ seed, kinds: allTroubles, length: 10_000 })
    expect(again.world.attempts).toEqual(once.world.attempts)
    const other = await run({ seed: seed + 1, kinds: allTroubles, length: 10_000 })
    expect(other.world.attempts).not.toEqual(once.world.attempts)
  })
})

describe("what is judged of them", () => {
  it("finds a store that takes saves of owners that are none any more", async () => {
    const found: Array<string> = []
    for (let seed = 1; found.length === 0 && seed <= 20; seed++) {
      const kinds = ["a host is cut from the store and from the others"] as const
      const times = { length: 30_000, longest: 60_000 }
      const { faults } = await run({ seed, kinds, ...times, broken: "fencing" })
      found.push(...faults)
    }
    expect(found).toContainEqual(
      expect.stringMatching(/was saved under epoch \d+, when the latest was \d+/)
    )
  })

  it("finds a store that forgets what it has acknowledged", async () => {
    const { faults } = await run({ seed, kinds: [], length: 20_000, broken: "saves" })
    expect(faults).toContainEqual(expect.stringMatching(/is lost$/))
  })

  it("counts calls that fail: those to a host that crashes", async () => {
    const found: Array<string> = []
    for (let seed = 1; found.length === 0 && seed <= 20; seed++) {
      const { world } = await run({
        ...{ seed, length: 20_000 },
        kinds: ["a host crashes and is started again"]
      })
      found.push(...world.failures)
    }
    expect(found.length).toBeGreaterThan(0)
  })
})
