/**
 * Two zones lose each other for a minute while both sides change, and nobody restarts anything:
 * `npm run simulate -- examples/simulate/partition.ts` in a checkout; see docs/simulator.md.
 */
import { defineScenario, invariants, type Simulation } from "skein/testing"

const seconds = 1_000
const zoneOf = (index: number) => (index < 20 ? "north" : "south")

export default defineScenario({
  name: "two zones lose each other for a minute",
  mesh: {
    nodes: 60,
    zoneOf,
    network: {
      latency: { middle: 40, spread: 10 },
      between: {
        north: { north: { middle: 1, spread: 0.5 } },
        south: { south: { middle: 1, spread: 0.5 } }
      }
    }
  },
  duration: 120 * seconds,
  faults: () => [
    {
      at: 5 * seconds,
      lasts: 60 * seconds,
      what: "the zones are cut off from each other",
      run: (sim) => sim.cut((from, to) => zoneOf(from) !== zoneOf(to))
    },
    ...[3, 40].map((index) => ({
      at: 20 * seconds,
      what: `node ${index} offers something else`,
      run: (sim: Simulation) => sim.node(index).catalogue.change({ software: "2" })
    }))
  ],
  invariants: [
    invariants.whole(35 * seconds),
    invariants.oneCatalogue,
    invariants.noVersionTwice,
    invariants.quiet
  ]
})
