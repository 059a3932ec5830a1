/** The engine of actors in its world (test/simulation/actors.test.ts), by many seeds, for a minute each. */
import { describe, expect, it } from "vitest"
import { allTroubles, bound, run, type Trouble } from "../simulation/ActorTroubles.ts"

const seeds = Array.from({ length: 40 }, (_, index) => index + 1)

const sets: ReadonlyArray<readonly [string, ReadonlyArray<Trouble>]> = [
  ...allTroubles.map((kind) => [kind, [kind]] as const),
  ["all of it happens", allTroubles]
]

describe("actors of a world, by many seeds", () => {
  it.each(sets)("save once what they acknowledge, and come back, while %s", async (_, kinds) => {
    for (const seed of seeds) {
      const { faults, recovered } = await run({ seed, kinds, length: 60_000 })
      expect(faults, `seed ${seed}`).toEqual([])
      expect(recovered, `seed ${seed}`).toBeLessThanOrEqual(bound)
    }
  })

  it("answer every call while hosts come and go", async () => {
    for (const seed of seeds) {
      const kinds = ["many leave and come back at once"] as const
      const { world } = await run({ seed, kinds, length: 60_000 })
      expect(world.failures, `seed ${seed}`).toEqual([])
    }
  })
})
