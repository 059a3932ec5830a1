/**
 * Runs scenarios. One that fails is run again without each of its faults, as long as it fails the same
 * way: what is printed is the shortest story that was found, and the seed that tells it again.
 */
import { seededRandom } from "./EventQueue.ts"
import { Facts } from "./Facts.ts"
import type { Fault, Invariant, InvariantName, Scenario } from "./Scenario.ts"
import { Simulation } from "./Simulation.ts"

export interface Violation {
  readonly name: InvariantName
  /** Milliseconds. */
  readonly at: number
  readonly what: string
}

export interface Outcome {
  readonly seed: number
  readonly faults: ReadonlyArray<Fault>
  /** The first that did not hold. */
  readonly violation: Violation | undefined
  /** When each `eventually_` first held, ms after the end of the last fault. */
  readonly held: ReadonlyMap<InvariantName, number>
  readonly facts: Facts
  readonly sim: Simulation
}

const endOf = ({ at, lasts }: Fault): number => at + (lasts ?? 0)

/** `faults`: instead of those of the scenario. */
export const runScenario = (
  scenario: Scenario,
  seed: number,
  faults: ReadonlyArray<Fault> = scenario.faults(seededRandom(seed ^ 0x5eed))
): Outcome => {
  const sim = new Simulation({ ...scenario.mesh, seed })
  const facts = new Facts(sim)
  for (const { at, lasts, run, what } of faults) {
    sim.queue.at(at, () => {
      facts.note(`── ${what}`)
      const end = run(sim)
      if (lasts === undefined) return
      sim.queue.after(lasts, () => {
        facts.note(`── over: ${what}`)
        if (typeof end === "function") end()
      })
    })
  }
  const lastEnd = Math.max(0, ...faults.map(endOf))
  const held = new Map<InvariantName, number>()
  const kind = (prefix: string): ReadonlyArray<Invariant> =>
    scenario.invariants.filter(({ name }) => name.startsWith(prefix))
  const always = kind("always_")
  const eventually = kind("eventually_")
  let violation: Violation | undefined
  const look = ({ check, name }: Invariant): boolean => {
    const what = check(sim, facts)
    if (what !== undefined) violation ??= { name, at: sim.now, what }
    return what === undefined
  }
  const step = scenario.checkEvery ?? 500
  const sampleEvery = Math.max(1_000, scenario.duration / 600)
  let sampleAt = 0
  while (violation === undefined && sim.now < scenario.duration) {
    sim.advance(Math.min(step, scenario.duration - sim.now))
    if (sim.now >= sampleAt) {
      facts.sample()
      sampleAt += sampleEvery
    }
    for (const invariant of always) look(invariant)
    for (const { check, name, within = Number.POSITIVE_INFINITY } of eventually) {
      if (held.has(name) || sim.now < lastEnd) continue
      const what = check(sim, facts)
      if (what === undefined) held.set(name, sim.now - lastEnd)
      else if (sim.now - lastEnd > within) violation ??= { name, at: sim.now, what }
    }
  }
  if (violation === undefined) {
    facts.sample()
    for (const { check, name } of eventually) {
      if (!held.has(name)) {
        violation ??= { name, at: sim.now, what: check(sim, facts) ?? "held only at the end" }
      }
    }
    for (const invariant of kind("finally_")) look(invariant)
  }
  return { seed, faults, violation, held, facts, sim }
}

/** Runs that may be spent on a shorter story, and the time, ms. */
const mostTries = 40
const mostTime = 60_000

/** The same violation with as few faults as can be found: halves first, then one by one. */
export const shorten = (scenario: Scenario, failed: Outcome): Outcome => {
  const began = performance.now()
  let best = failed
  let tries = 0
  const canTry = (): boolean => tries < mostTries && performance.now() - began < mostTime
  for (let size = Math.ceil(best.faults.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < best.faults.length && canTry(); ) {
      tries++
      const fewer = best.faults.filter((_, index) => index < at || index >= at + size)
      const outcome = runScenario(scenario, failed.seed, fewer)
      if (outcome.violation?.name === failed.violation?.name) best = outcome
      else at += size
    }
  }
  return best
}

export class ScenarioFailed extends Error {
  override readonly name = "ScenarioFailed"
  readonly outcome: Outcome

  constructor(scenario: Scenario, outcome: Outcome) {
    const { facts, faults, seed, violation } = outcome
    const story = faults.map(
      ({ at, lasts, what }) =>
        `  at ${at / 1_000} s${lasts === undefined ? "" : ` for ${lasts / 1_000} s`}: ${what}`
    )
    super(
      [
        `${scenario.name}: ${violation?.name} does not hold at ${(violation?.at ?? 0) / 1_000} s: ${violation?.what}`,
        `SEED=${seed} runs it again. The shortest story that was found:`,
        ...(story.length === 0 ? ["  nothing happens"] : story),
        "What happened last:",
        ...facts.trace(30).map((line) => `  ${line}`)
      ].join("\n")
    )
    this.outcome = outcome
  }
}

/** Runs it; throws `ScenarioFailed` with the shortest story when something does not hold. */
export const checkScenario = (scenario: Scenario, seed: number): Outcome => {
  const outcome = runScenario(scenario, seed)
  if (outcome.violation === undefined) return outcome
  throw new ScenarioFailed(scenario, shorten(scenario, outcome))
}
