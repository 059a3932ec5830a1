/** The balancer a policy asks for. */
import type { BalancePolicy } from "../../model/Policy.ts"
import type { Balancer } from "./Candidate.ts"
import { leastRequest, peakEwma } from "./Preference.ts"
import { RoundRobin } from "./RoundRobin.ts"
import { TwoChoices } from "./TwoChoices.ts"

/** `random` is uniform in [0, 1). */
export const makeBalancer = (policy: BalancePolicy, random: () => number): Balancer => {
  switch (policy.kind) {
    case "p2c_ewma":
      return new TwoChoices(peakEwma, random)
    case "least_request":
      return new TwoChoices(leastRequest, random)
    case "round_robin":
      return new RoundRobin()
  }
}
