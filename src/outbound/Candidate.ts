import type { PeakEwma } from "../policy/PeakEwma.ts"

/** What a balancer sees of an endpoint. */
export interface Candidate {
  /** Relative share of traffic, 1–1000. */
  readonly weight: number
  /** Attempts under way. */
  readonly inFlight: number
  readonly latency: PeakEwma
  /** Turns it is owed, for round robin; 0 at first. */
  credit: number
}

/**
 * Picks one of the endpoints that may be used. Who may be used at all is decided before
 * (Selection); the balancer knows weights, work in flight and latency.
 */
export interface Balancer {
  /**
   * `candidates` is not empty, and is the same array as long as its contents are the same. Never
   * picks `avoid` (the endpoint just tried) when there is another.
   */
  pick<C extends Candidate>(candidates: ReadonlyArray<C>, now: number, avoid: C | undefined): C
}
