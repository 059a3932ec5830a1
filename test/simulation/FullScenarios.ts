/** The stories of Scenarios.ts in full sizes: for `npm run test:long`, each in a process of its own. */
import type { Scenario } from "../../src/testing/simulator/mod.ts"
import { outcastOnTheOtherSide } from "./OutcastScenario.ts"
import * as scenarios from "./Scenarios.ts"

const seconds = 1_000
const minutes = 60 * seconds

export const fullScenarios: ReadonlyArray<Scenario> = [
  scenarios.wholeRestart(300, false),
  scenarios.stallsAndLoss(200, 60 * minutes),
  scenarios.stallsAndLoss(1_000, 60 * minutes),
  scenarios.onlyLoss(1_000, 10 * minutes),
  scenarios.flapping(300, 40),
  scenarios.tenthCrashes(1_000),
  scenarios.rollingRestart(100),
  scenarios.massJoin(500, 500),
  scenarios.halves(1_000, 60 * seconds),
  scenarios.halves(300, 10 * minutes),
  scenarios.halves(1_000, 10 * minutes),
  scenarios.minority(300, 60 * seconds),
  scenarios.minority(300, 10 * minutes),
  scenarios.bridge(100, 60 * seconds),
  scenarios.bridge(100, 10 * minutes),
  scenarios.oneWay(300, 60 * seconds),
  scenarios.oneWay(300, 10 * minutes),
  scenarios.oneWay(1_000, 10 * minutes),
  scenarios.zone(300, 60 * seconds),
  scenarios.zone(300, 10 * minutes),
  scenarios.tombstone(300, 60 * minutes),
  outcastOnTheOtherSide({ nodes: 300, minority: 60, lasts: 10 * minutes }),
  scenarios.announcementStorm(500, 10),
  scenarios.equivocation(300),
  scenarios.clonedKey(300),
  scenarios.fastClock(200),
  scenarios.twoVersions(300)
]
