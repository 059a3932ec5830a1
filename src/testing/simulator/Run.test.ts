import { expect, test } from "vitest"
import { convergenceChart } from "./ConvergenceChart.ts"
import { checkScenario, runScenario, ScenarioFailed } from "./Run.ts"
import { defineScenario, type Fault, type Invariant, invariants } from "./Scenario.ts"

const change = (at: number, index: number): Fault => ({
  at,
  what: `node ${index} changes`,
  run: (sim) => sim.node(index).catalogue.change({ software: `${at}` })
})

const kill: Fault = { at: 3_000, what: "node 3 is killed", run: (sim) => sim.node(3).crash() }

const scenario = (faults: ReadonlyArray<Fault>, ...all: ReadonlyArray<Invariant>) =>
  defineScenario({
    name: "a test",
    mesh: { nodes: 10 },
    duration: 20_000,
    faults: () => faults,
    invariants: all
  })

const nobodyDies: Invariant = {
  name: "always_nobody_dies",
  check: (sim) => (sim.statesOf(3).has("dead") ? "node 3 is dead to somebody" : undefined)
}

test("a failing run tells its seed and the shortest story that fails the same way", () => {
  const faults = [change(1_000, 1), change(2_000, 2), kill, change(4_000, 4), change(5_000, 5)]
  const run = () => checkScenario(scenario(faults, nobodyDies), 5)
  expect(run).toThrow(ScenarioFailed)
  try {
    run()
  } catch (failed) {
    expect(failed).toBeInstanceOf(ScenarioFailed)
    if (!(failed instanceof ScenarioFailed)) return
    expect(failed.outcome.faults).toEqual([kill])
    expect(failed.message).toContain("always_nobody_dies does not hold at")
    expect(failed.message).toContain("SEED=5 runs it again")
    expect(failed.message).toContain("at 3 s: node 3 is killed")
    expect(failed.message).toContain("node 3 is dead to node")
    expect(failed.message).not.toContain("node 1 changes")
  }
})

test("what is to hold in time is asked from the end of the last fault, and when it held is told", () => {
  const good = runScenario(scenario([kill], invariants.whole(10_000)), 1)
  expect(good.violation).toBeUndefined()
  const after = good.held.get("eventually_whole")!
  expect(after).toBeGreaterThan(3_000)
  expect(runScenario(scenario([kill], invariants.whole(after - 1_000)), 1).violation).toMatchObject(
    {
      name: "eventually_whole"
    }
  )
})

test("what is to hold at the end is asked at the end", () => {
  const never: Invariant = { name: "finally_never", check: ({ now }) => `at ${now}` }
  expect(runScenario(scenario([], never), 1).violation).toEqual({
    name: "finally_never",
    at: 20_000,
    what: "at 20000"
  })
})

test("a fault that lasts is ended when its time is over", () => {
  const cut: Fault = {
    at: 1_000,
    lasts: 2_000,
    what: "node 0 is cut off",
    run: (sim) => sim.partition((index) => (index === 0 ? 0 : 1))
  }
  const seen: Array<boolean> = []
  const watch: Invariant = {
    name: "always_watched",
    check: (sim) => {
      seen.push(sim.network.isCut(0, 1))
      return undefined
    }
  }
  runScenario({ ...scenario([cut], watch), duration: 4_400, checkEvery: 400 }, 1)
  expect(seen).toEqual([false, false, true, true, true, true, true, false, false, false, false])
})

test("a run is drawn with a curve for each figure and a mark for each fault", () => {
  const { facts, faults } = runScenario(scenario([kill], invariants.whole(10_000)), 1)
  const svg = convergenceChart("<a test>", facts.samples, faults)
  expect(svg).toContain("&lt;a test&gt;")
  expect(svg.match(/<polyline/g)).toHaveLength(7)
  expect(svg.match(/<title>node 3 is killed<\/title>/g)).toHaveLength(7)
  expect(svg).not.toContain("NaN")
})
