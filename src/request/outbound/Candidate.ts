import type { Score } from "../policy/Score.ts"
import type { Candidates } from "./Candidates.ts"

/** What is picked for: the first attempt of a call, or a retry. */
export type Turns = "first" | "retry"

export interface TurnAccount {
  /** Turns it is owed, in weight; 0 at first. */
  credit: number
}

/** What a balancer sees of an endpoint. */
export interface Candidate {
  /** Relative share of traffic, 1–1000. */
  readonly weight: number
  /** Attempts under way. */
  readonly inFlight: number
  readonly score: Score
  /** Of round robin, one for each kind of turns. */
  readonly first: TurnAccount
  readonly retry: TurnAccount
}

/**
 * Picks one of the endpoints that may be used. Who may be used at all is decided before
 * (Selection, and Tried for retries); the balancer knows weights, work in flight and scores.
 */
export interface Balancer {
  /** There is at least one candidate. */
  pick<C extends Candidate>(candidates: Candidates<C>, now: number, turns: Turns): C
}
