/**
 * The stories of test/simulation/Scenarios.ts in full sizes. A failing one prints its seed and the shortest
 * story that was found; SEED=<number> runs all of them with that one.
 */
import { expect, test } from "vitest"
import { checkScenario } from "../../src/testing/simulator/mod.ts"
import * as scenarios from "../simulation/Scenarios.ts"

const seed = Number(process.env["SEED"] ?? Math.floor(Math.random() * 1e9))
const seconds = 1_000
const minutes = 60 * seconds
/** An hour of a thousand nodes takes minutes, many times that where a failing run is shortened. */
const patience = 120 * minutes

const full = [
  scenarios.wholeRestart(300, false),
  scenarios.stallsAndLoss(1_000, 60 * minutes),
  scenarios.onlyLoss(1_000, 10 * minutes),
  scenarios.flapping(300, 40),
  scenarios.tenthCrashes(1_000),
  scenarios.rollingRestart(100),
  scenarios.massJoin(500, 500),
  scenarios.halves(300, 60 * seconds),
  scenarios.halves(300, 10 * minutes),
  scenarios.halves(1_000, 60 * seconds),
  scenarios.minority(300, 60 * seconds),
  scenarios.minority(300, 10 * minutes),
  scenarios.bridge(100, 60 * seconds),
  scenarios.bridge(100, 10 * minutes),
  scenarios.oneWay(300, 60 * seconds),
  scenarios.oneWay(300, 10 * minutes),
  scenarios.zone(300, 60 * seconds),
  scenarios.zone(300, 10 * minutes),
  scenarios.tombstone(300, 60 * minutes),
  scenarios.announcementStorm(500, 10),
  scenarios.equivocation(300),
  scenarios.clonedKey(300),
  scenarios.fastClock(200),
  scenarios.twoVersions(300)
]

test.each(full.map((scenario) => ({ name: scenario.name, scenario })))(
  "$name",
  ({ scenario }) => {
    const { violation } = checkScenario(scenario, seed)
    expect(violation, `seed ${seed}`).toBeUndefined()
  },
  patience
)
