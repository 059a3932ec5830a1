/** What the keeper of connections goes by: times, and how much it does at once. */
import type { RedialLimits } from "./RedialPause.ts"

export interface KeeperLimits extends RedialLimits {
  /** How long an attempt may take, ms. Default 5,000. */
  readonly dialTimeout: number
  /** A connection that lived shorter than this counts as a failed attempt, ms. Default 2,000. */
  readonly stableAfter: number
  /** Attempts a second, over all peers, and how many may come at once. Default 8 and 16. */
  readonly dialsPerSecond: number
  readonly dialBurst: number
  /** A connection that this node made and does not want is closed when nobody needed it for so long, ms. Default 5 minutes. */
  readonly idleAfter: number
}

export const defaultLimits: KeeperLimits = {
  basePause: 100,
  maxPause: 30_000,
  dialTimeout: 5_000,
  stableAfter: 2_000,
  dialsPerSecond: 8,
  dialBurst: 16,
  idleAfter: 300_000
}
