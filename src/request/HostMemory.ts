/**
 * What the request threads of a node share beside messages: made by whoever makes the threads, and handed
 * to each.
 */
import { clearColumn, countMemory } from "./policy/HostCounts.ts"
import { runMemory } from "./policy/HostRuns.ts"
import { bellMemory, ringAll } from "./policy/ThreadBells.ts"

export interface HostMemory {
  /** Results in a row (HostRuns). */
  readonly runs: SharedArrayBuffer
  /** What each has of what the host may have so many of (HostCounts). */
  readonly counts: SharedArrayBuffer
  /** How they call each other to look at it (ThreadBells). */
  readonly bells: SharedArrayBuffer
}

export const makeHostMemory = (): HostMemory => ({
  runs: runMemory(),
  counts: countMemory(),
  bells: bellMemory()
})

/** A thread has ended, and its connections with it: others may have what it had. */
export const forgetThread = ({ bells, counts }: HostMemory, thread: number): void => {
  clearColumn(counts, thread)
  ringAll(bells)
}
