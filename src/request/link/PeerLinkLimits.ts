/** How long and how often a link to a peer is tried, and how many calls wait for it. */
export interface PeerLinkLimits {
  /** How long an exchange waits for a link that is being made, ms. Default 1,000. */
  readonly connectTimeout: number
  /** How long an attempt to connect may take, ms. Default 5,000. */
  readonly dialTimeout: number
  /** Exchanges that wait at a time, for the first link or for a further one. Default 1,024. */
  readonly waiting: number
  /**
   * Links at a time: a further one is made when all have as many exchanges as they may. Default 4,
   * half of the lanes that a connection takes, for links that are being closed are still there.
   */
  readonly links: number
  /** Pause after the first failed attempt, ms; doubles up to `maxPause`. Default 100. */
  readonly basePause: number
  /** Default 5,000. */
  readonly maxPause: number
  /** A link that lived shorter than this counts as a failed attempt, ms. Default 2,000. */
  readonly stableAfter: number
  /** A link to a peer that is not wanted is closed after so long without use, ms. Default 60,000. */
  readonly idleAfter: number
}

export const defaultPeerLinkLimits: PeerLinkLimits = {
  connectTimeout: 1_000,
  dialTimeout: 5_000,
  waiting: 1_024,
  links: 4,
  basePause: 100,
  maxPause: 5_000,
  stableAfter: 2_000,
  idleAfter: 60_000
}

/**
 * The pause before attempt number `failures` + 1: doubling from the base up to the cap, and of
 * that between half and all, so that peers of a node that came back do not arrive in step.
 */
export const redialPause = (
  failures: number,
  random: number,
  { basePause, maxPause }: Pick<PeerLinkLimits, "basePause" | "maxPause">
): number => Math.min(maxPause, basePause * 2 ** (failures - 1)) * (0.5 + random / 2)
