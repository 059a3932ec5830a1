/** The simulator for those who write scenarios of their own; `npm run simulate -- scenario.ts` runs one. */
export { convergenceChart } from "./ConvergenceChart.ts"
export { Facts, type FalseDeath, type Sample } from "./Facts.ts"
export type { GateLimits } from "./Gate.ts"
export type { LinkOptions } from "./Links.ts"
export type { Cut, Latency, NetworkOptions } from "./Network.ts"
export { defaultProfile, type Profile } from "./Profile.ts"
export { checkScenario, type Outcome, runScenario, ScenarioFailed, type Violation } from "./Run.ts"
export {
  defineScenario,
  type Fault,
  type Invariant,
  type InvariantName,
  invariants,
  type Scenario
} from "./Scenario.ts"
export { peerOf, Simulation, type SimulationOptions } from "./Simulation.ts"
