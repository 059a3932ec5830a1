/** How long to wait before dialling again who could not be reached. */
export interface RedialLimits {
  /** The pause after the first failed attempt, ms, at most; doubles up to `maxPause`. */
  readonly basePause: number
  readonly maxPause: number
}

/**
 * The pause before attempt number `failures` + 1: anything up to a bound that doubles from the base to
 * the cap. All of it is chance ("full jitter"), since peers of a node that came back, or of a network
 * that healed, must not arrive in step. `doubt`: how far this node doubts itself (Awareness.ts); while
 * it is late itself, what it takes for a failure may be its own, and dialling would make it later.
 */
export const redialPause = (
  failures: number,
  random: number,
  { basePause, maxPause }: RedialLimits,
  doubt = 0
): number => Math.min(maxPause, basePause * 2 ** (failures - 1 + doubt)) * random
