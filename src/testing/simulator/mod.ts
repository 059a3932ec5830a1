/** `skein/testing`: the simulator, for those who write scenarios of their own. See docs/simulator.md. */
export type { Behaviour, Moment, PureActor } from "../../mesh/actor/Behaviour.ts"
export type { GateLimits } from "../../mesh/trust/HandshakeLine.ts"
export {
  type ActorWorld,
  BehaviourSimulation,
  type BehaviourSimulationOptions
} from "./BehaviourSimulation.ts"
export { convergenceChart } from "./ConvergenceChart.ts"
export { Facts, type FalseDeath, type Sample } from "./Facts.ts"
export type { LinkOptions } from "./Links.ts"
export type { Cut, Latency, NetworkOptions } from "./Network.ts"
export { defaultProfile, type Profile } from "./Profile.ts"
export { describeOutcome } from "./Report.ts"
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
