/** How long to wait before dialling again who could not be reached. */
export interface RedialLimits {
  /** Pause after the first failed attempt, ms; doubles up to `maxPause`. */
  readonly basePause: number
  readonly maxPause: number
}

/**
 * The pause before attempt number `failures` + 1: doubling from the base up to the cap, and of
 * that between half and all, so that peers of a node that came back do not arrive in step.
 */
export const redialPause = (
  failures: number,
  random: number,
  { basePause, maxPause }: RedialLimits
): number => Math.min(maxPause, basePause * 2 ** (failures - 1)) * (0.5 + random / 2)
