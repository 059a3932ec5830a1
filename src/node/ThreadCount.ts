/** How many request threads a node has. */
import { availableParallelism } from "node:os"
import type { NodeConfig } from "../config/NodeConfig.ts"
import { sharesPorts } from "./Runtime.ts"

/** `auto` stops here: beyond it somebody should have measured. */
const mostByItself = 8

/** Sockets of programs that a thread should have at least: with fewer it mostly waits for some. */
const leastSockets = 256

/**
 * `sockets`: what the limit of open files leaves for connections of programs; undefined: nothing
 * limits them. Processors are those that this process may use: affinity and the limits of its
 * control group count.
 */
export const threadCount = (
  threads: NodeConfig["node"]["threads"],
  sockets: number | undefined,
  processors: number = availableParallelism()
): number => {
  if (threads !== "auto") return threads
  const byProcessors = Math.min(mostByItself, Math.max(1, processors))
  const bySockets = sockets === undefined ? byProcessors : Math.floor(sockets / leastSockets)
  return Math.max(1, Math.min(byProcessors, bySockets))
}

/** Of so many threads those that there can be: `alone` where they cannot share a port. */
export const sharedThreads = (
  wanted: number,
  alone: number,
  versions: NodeJS.ProcessVersions
): number => (sharesPorts(versions) ? wanted : Math.min(wanted, alone))
