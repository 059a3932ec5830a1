/**
 * The stories of Scenarios.ts in short sizes. A failing one prints its seed and the shortest story that was
 * found; SEED=<number> runs all of them with that one.
 */
import { setImmediate } from "node:timers/promises"
import { beforeEach, expect, test } from "vitest"
import { checkScenario, type LinkOptions, runScenario } from "../../src/testing/simulator/mod.ts"
import { outcastOnTheOtherSide } from "./OutcastScenario.ts"
import * as scenarios from "./Scenarios.ts"

const seed = Number(process.env["SEED"] ?? Math.floor(Math.random() * 1e9))
const seconds = 1_000

const short = [
  scenarios.threeJoin(),
  scenarios.singleJoins(),
  scenarios.oneRestart(),
  scenarios.wholeRestart(32, true),
  scenarios.wholeRestart(60, false),
  scenarios.stallsAndLoss(60, 120 * seconds),
  scenarios.onlyLoss(60, 120 * seconds),
  scenarios.flapping(40, 6),
  scenarios.tenthCrashes(100),
  scenarios.rollingRestart(20),
  scenarios.massJoin(50, 50),
  scenarios.halves(60, 60 * seconds),
  scenarios.halves(30, 600 * seconds),
  scenarios.minority(60, 60 * seconds),
  scenarios.bridge(40, 60 * seconds),
  scenarios.bridge(30, 600 * seconds),
  scenarios.oneWay(60, 60 * seconds),
  scenarios.oneWay(30, 600 * seconds),
  scenarios.zone(60, 60 * seconds),
  scenarios.zone(30, 600 * seconds),
  scenarios.tombstone(40, 60 * seconds),
  outcastOnTheOtherSide({ nodes: 60, minority: 15, lasts: 60 * seconds }),
  outcastOnTheOtherSide({ nodes: 60, minority: 15, lasts: 60 * seconds, returns: true }),
  scenarios.announcementStorm(60, 5),
  scenarios.announcementStorm(60, 10, 6),
  scenarios.equivocation(40),
  scenarios.clonedKey(40),
  scenarios.fastClock(30),
  scenarios.twoVersions(40)
]

// A simulation gives its thread to nobody: between two of them the runner must hear from it.
beforeEach(() => setImmediate())

test.each(short.map((scenario) => ({ name: scenario.name, scenario })))(
  "$name",
  ({ scenario }) => {
    const { violation } = checkScenario(scenario, seed)
    expect(violation, `seed ${seed}`).toBeUndefined()
  },
  120_000
)

/** As the mesh was: connections to all, dropped after 2.5 s of silence, dialled without limit, no gate. */
const withoutLimits: LinkOptions = {
  toAll: true,
  dropSilentAfter: 2_500,
  gate: { atOnce: Number.POSITIVE_INFINITY, strangers: Number.POSITIVE_INFINITY },
  keeper: { dialsPerSecond: 1e6, dialBurst: 1e6, maxPause: 5_000 }
}

// Measured on real nodes before there were limits. A simulator that shows no storm where there was one
// would prove nothing where it shows none.
test.each([
  { way: "three joins at once", scenario: scenarios.threeJoin() },
  { way: "single joins", scenario: scenarios.singleJoins() },
  { way: "one restart", scenario: scenarios.oneRestart() }
])("without limits $way are a storm that does not end", ({ scenario }) => {
  const { sim, facts } = runScenario(
    {
      ...scenario,
      mesh: { ...scenario.mesh, links: withoutLimits },
      duration: 90 * seconds,
      invariants: []
    },
    seed
  )
  const late = facts.samples.slice(-20).map(({ lateness }) => lateness)
  expect(sim.isWhole(), `seed ${seed}`).toBe(false)
  expect(Math.max(...late), `seed ${seed}`).toBeGreaterThan(1_000)
})
