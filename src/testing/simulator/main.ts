/**
 * `npm run simulate -- scenario.ts [--seed N] [--svg FILE]`: runs the scenario that a file exports as its
 * default, tells how it went, and draws it. Exit code 0: everything held; 1: something did not.
 */
import { writeFileSync } from "node:fs"
import { resolve } from "node:path"
import { pathToFileURL } from "node:url"
import { parseArgs } from "node:util"
import { convergenceChart } from "./ConvergenceChart.ts"
import { describeOutcome } from "./Report.ts"
import { runScenario, ScenarioFailed, shorten } from "./Run.ts"
import type { Scenario } from "./Scenario.ts"

const usage = "usage: npm run simulate -- scenario.ts [--seed N] [--svg FILE]"

const isScenario = (value: unknown): value is Scenario =>
  typeof value === "object" &&
  value !== null &&
  ["name", "mesh", "duration", "faults", "invariants"].every((key) => key in value)

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { seed: { type: "string" }, svg: { type: "string" } }
})
const [file] = positionals
if (file === undefined || positionals.length > 1) {
  console.error(usage)
  process.exit(2)
}
const seed = Number(values.seed ?? process.env["SEED"] ?? Math.floor(Math.random() * 1e9))
if (!Number.isSafeInteger(seed)) {
  console.error(`${usage}\nthe seed must be a whole number`)
  process.exit(2)
}
const loaded: unknown = await import(pathToFileURL(resolve(file)).href)
const scenario =
  typeof loaded === "object" && loaded !== null && "default" in loaded ? loaded.default : undefined
if (!isScenario(scenario)) {
  console.error(`${file} exports no scenario as its default; see defineScenario`)
  process.exit(2)
}

const began = performance.now()
const outcome = runScenario(scenario, seed)
const { facts, faults, violation } = outcome
const svg = values.svg ?? `${file.replace(/\.[^./]*$/, "")}.svg`
writeFileSync(svg, convergenceChart(`${scenario.name}, seed ${seed}`, facts.samples, faults))
console.log(describeOutcome(scenario, outcome))
console.log(`  in ${((performance.now() - began) / 1_000).toFixed(1)} s, drawn in ${svg}`)
if (violation !== undefined) {
  console.error(new ScenarioFailed(scenario, shorten(scenario, outcome)).message)
  process.exit(1)
}
