/**
 * The stories of test/simulation/Scenarios.ts in full sizes. A failing one prints its seed and the shortest
 * story that was found; SEED=<number> runs all of them with that one.
 */
import { test } from "vitest"
import { runSimulation } from "../fixtures/Simulations.ts"
import { fullScenarios } from "../simulation/FullScenarios.ts"

const seed = Number(process.env["SEED"] ?? Math.floor(Math.random() * 1e9))
/** An hour of a thousand nodes of which a tenth stalls takes up to two; more where a failing run is shortened. */
const patience = 14_400_000

test.each(fullScenarios)(
  "$name",
  async ({ name }) => {
    await runSimulation("scenario", name, seed)
  },
  patience
)
