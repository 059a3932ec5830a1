/**
 * Everybody in turn. With unequal weights the smooth weighted round robin of nginx: each turn
 * every candidate gains its weight, the richest is picked and pays the sum of all weights, so a
 * heavy endpoint's turns are spread out and not bunched.
 *
 * Retries take turns of their own. They pass over those the call has tried; if they took part in
 * the turns of first attempts, whoever is passed over would save up turns, or lose them.
 */
import type { Balancer, Candidate, Turns } from "./Candidate.ts"
import type { Candidates } from "./Candidates.ts"

export class RoundRobin implements Balancer {
  pick<C extends Candidate>({ all }: Candidates<C>, _now: number, turns: Turns): C {
    let total = 0
    let richest = all[0]!
    for (const candidate of all) {
      const account = candidate[turns]
      account.credit += candidate.weight
      total += candidate.weight
      if (account.credit > richest[turns].credit) richest = candidate
    }
    richest[turns].credit -= total
    return richest
  }
}
