/** How a run went, as people read it: the same text for the same seed. */
import type { Outcome } from "./Run.ts"
import type { Scenario } from "./Scenario.ts"

const seconds = (milliseconds: number): string => `${milliseconds / 1_000} s`

export const describeOutcome = (scenario: Scenario, outcome: Outcome): string => {
  const { facts, held, seed, sim, violation } = outcome
  const { falseDeaths, falseSuspicions, worst } = facts
  return [
    `${scenario.name}: ${scenario.mesh.nodes} nodes, ${seconds(sim.now)}, seed ${seed}`,
    ...Array.from(held, ([name, after]) => `  ${name}: after ${seconds(after)}`),
    `  ${sim.handshakes} handshakes, ${falseSuspicions} false suspicions, ${falseDeaths.length} false deaths, worst loop ${Math.round(worst)} ms late`,
    ...(violation === undefined
      ? []
      : [`  ${violation.name} does not hold at ${seconds(violation.at)}: ${violation.what}`])
  ].join("\n")
}
