/** The numbers of docs/membership.md, at a thousand nodes and at ten thousand. It prints what it measured. */
import { expect, test } from "vitest"
import { runSimulation } from "../fixtures/Simulations.ts"
import type { measure } from "../simulation/Targets.ts"

const seed = Number(process.env["SEED"] ?? Math.floor(Math.random() * 1e9))

test.each([
  { nodes: 1_000, crashes: 10, seen: 2_000, suspected: 2_000, dead: 10_000, idle: 6 },
  { nodes: 10_000, crashes: 1, seen: 3_000, suspected: 3_000, dead: 13_000, idle: 5 }
])(
  "$nodes nodes tell, doubt and bury in time, and are quiet at rest",
  async (target) => {
    const note = await runSimulation("targets", target.nodes, target.crashes, seed)
    const measured: ReturnType<typeof measure> = JSON.parse(note)
    console.log(note)
    expect(measured.seen, note).toBeLessThanOrEqual(target.seen)
    expect(measured.killed.suspected, note).toBeLessThanOrEqual(target.suspected)
    expect(measured.killed.dead, note).toBeLessThanOrEqual(target.dead)
    // A host that says nothing is found by silence: a probe's patience, and that of those who help.
    expect(measured.silent.suspected, note).toBeLessThanOrEqual(3_000)
    expect(measured.silent.dead, note).toBeLessThanOrEqual(target.dead)
    expect(measured.idle, note).toBeLessThanOrEqual(target.idle)
  },
  7_200_000
)
