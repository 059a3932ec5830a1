/**
 * A story that a mesh goes through, and what must hold in it. Names say when: `always_` at every moment,
 * `eventually_` once, in time, `finally_` at the end.
 */
import type { Facts } from "./Facts.ts"
import type { Simulation, SimulationOptions } from "./Simulation.ts"

export interface Fault {
  /** Milliseconds from the beginning. */
  readonly at: number
  /** For people. */
  readonly what: string
  /** A function that it returns ends it: after `lasts` ms, or never where there is no such time. */
  readonly run: (sim: Simulation) => unknown
  readonly lasts?: number
}

export type InvariantName = `always_${string}` | `eventually_${string}` | `finally_${string}`

export interface Invariant {
  readonly name: InvariantName
  /** Undefined: it holds. Otherwise what is wrong, for people. */
  readonly check: (sim: Simulation, facts: Facts) => string | undefined
  /** Of `eventually_`: at the latest so long after the end of the last fault, ms. */
  readonly within?: number
}

export interface Scenario {
  readonly name: string
  readonly mesh: Omit<SimulationOptions, "seed">
  /** How long it is watched in all, ms. */
  readonly duration: number
  /** What happens; `random` is of the run's seed. */
  readonly faults: (random: () => number) => ReadonlyArray<Fault>
  readonly invariants: ReadonlyArray<Invariant>
  /** Between two checks, ms. Default 500. */
  readonly checkEvery?: number
}

/** A scenario as it is, with its type checked. */
export const defineScenario = (scenario: Scenario): Scenario => scenario

const count = (number: number, what: string): string | undefined =>
  number === 0 ? undefined : `${number} ${what}`

/** What most scenarios ask for. */
export const invariants = {
  /** Nobody who runs, is not stopped and not cut off is taken for dead. `except`: those of whom it may be. */
  noFalseDeath: (except: (index: number) => boolean = () => false): Invariant => ({
    name: "always_nobody_alive_is_dead",
    check: (_, { falseDeaths }) => {
      const wrong = falseDeaths.find(({ about, by }) => !except(about) && !except(by))
      return wrong && `node ${wrong.by} takes node ${wrong.about} for dead`
    }
  }),
  /** Everybody that is up is alive to everybody, catalogues are the same, wanted connections are there. */
  whole: (within: number): Invariant => ({
    name: "eventually_whole",
    within,
    check: (sim) => (sim.isWhole() ? undefined : describe(sim))
  }),
  /** And it stays so. */
  stillWhole: {
    name: "finally_whole",
    check: (sim) => (sim.isWhole() ? undefined : describe(sim))
  },
  oneCatalogue: {
    name: "finally_one_catalogue",
    check: (sim) => count(sim.opinions() - 1, "other catalogues")
  },
  noVersionTwice: {
    name: "always_a_version_says_one_thing",
    check: (sim) => count(sim.records.reused.length, "versions were used twice")
  },
  /** Nothing waits longer than this for its node's loop, ms. */
  inTime: (most: number): Invariant => ({
    name: "always_loops_in_time",
    check: (_, { worst }) => (worst <= most ? undefined : `something waited for ${worst} ms`)
  }),
  /** The mesh is at rest again at the end: no handshakes, hardly any work, no loop late. */
  quiet: {
    name: "finally_quiet",
    check: (sim, { samples }) => {
      const last = samples.slice(-5)
      const handshakes = last.reduce((sum, sample) => sum + sample.handshakes, 0)
      if (handshakes > sim.up.length / 10) return `${handshakes} handshakes in the last samples`
      const late = Math.max(...last.map(({ lateness }) => lateness))
      return late > 200 ? `a loop was ${late} ms late` : undefined
    }
  }
} as const satisfies Record<string, Invariant | ((value: never) => Invariant)>

const describe = (sim: Simulation): string => {
  const { dead, missed, suspected } = sim.errors()
  return [
    count(suspected, "beliefs that somebody alive is suspect"),
    count(dead, "that somebody alive is dead"),
    count(missed, "that somebody gone is there"),
    count(sim.opinions() - 1, "other catalogues"),
    count(sim.missingLinks(), "connections missing")
  ]
    .filter((part) => part !== undefined)
    .join(", ")
}
