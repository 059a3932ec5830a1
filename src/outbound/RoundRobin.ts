/**
 * Everybody in turn. With unequal weights the smooth weighted round robin of nginx: each turn
 * every candidate gains its weight, the richest is picked and pays the sum of all weights, so a
 * heavy endpoint's turns are spread out and not bunched.
 */
import type { Balancer, Candidate } from "./Candidate.ts"

export class RoundRobin implements Balancer {
  pick<C extends Candidate>(candidates: ReadonlyArray<C>, _now: number, avoid: C | undefined): C {
    const only = candidates.length === 1
    let total = 0
    let richest: C | undefined
    for (const candidate of candidates) {
      candidate.credit += candidate.weight
      total += candidate.weight
      // What is avoided saves its turn for the next request.
      if (candidate === avoid && !only) continue
      if (richest === undefined || candidate.credit > richest.credit) richest = candidate
    }
    richest ??= candidates[0]!
    richest.credit -= total
    return richest
  }
}
