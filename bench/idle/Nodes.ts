/** What is asked of a product's nodes, and what is made of the answers. */
import type { ProcessTree } from "../ProcessTree.ts"
import { median } from "../Statistics.ts"
import type { KillReport, Window } from "./Crowd.ts"

export interface Nodes {
  readonly trees: ReadonlyArray<ProcessTree>
  /** How many members each of them calls alive, itself among them. */
  readonly seen: () => Promise<ReadonlyArray<number>>
  /** Kills one, that cannot say good-bye, and watches what others say of it for so many seconds. */
  readonly kill: (index: number, seconds: number) => Promise<KillReport>
}

/** They join so many at a time. */
export const joinedAtOnce = 3

/** One after the other would take long, all at once is a case of its own. What fails, fails for all. */
export const inBatches = async <A>(
  indexes: ReadonlyArray<number>,
  begin: (index: number) => Promise<A>
): Promise<ReadonlyArray<A>> => {
  const begun: Array<A> = []
  for (let from = 0; from < indexes.length; from += joinedAtOnce) {
    const batch = indexes.slice(from, from + joinedAtOnce).map(begin)
    // None is left behind that could still start something.
    await Promise.allSettled(batch)
    begun.push(...(await Promise.all(batch)))
  }
  return begun
}

/** 1 to `last`; empty when there are none. */
export const upTo = (last: number): ReadonlyArray<number> =>
  Array.from({ length: Math.max(0, last) }, (_, at) => at + 1)

/** At most `most` of them, spread evenly. */
export const spreadOver = <A>(all: ReadonlyArray<A>, most: number): ReadonlyArray<A> => {
  if (all.length <= most) return all
  return Array.from({ length: most }, (_, at) => all[Math.floor((at * all.length) / most)]!)
}

/** The state of all nodes at one moment; each node's with its own, since reading takes a while. */
export interface Sample {
  readonly nodes: ReadonlyArray<{
    /** ms */
    readonly at: number
    /** Processor time so far. */
    readonly cpuMicros: number
    readonly residentBytes: number
  }>
  /** Undefined: not known. */
  readonly network: { readonly at: number; readonly bytes: number } | undefined
}

const mean = (values: ReadonlyArray<number>): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length

/** What one node took between two samples. */
export const windowOf = (before: Sample, after: Sample): Window => {
  const shares = after.nodes.map(({ at, cpuMicros }, index) => {
    const then = before.nodes[index]!
    return (cpuMicros - then.cpuMicros) / (at - then.at) / 10
  })
  const [from, to] = [before.network, after.network]
  return {
    cpuPercent: mean(shares),
    residentBytes: median(after.nodes.map(({ residentBytes }) => residentBytes)),
    bytesPerSecond:
      from === undefined || to === undefined
        ? null
        : ((to.bytes - from.bytes) * 1_000) / (to.at - from.at) / after.nodes.length
  }
}

/** What one node has said of the killed one, in ms since the kill. */
export interface Sighting {
  readonly suspected?: number
  readonly failed?: number
}

const seconds = (values: ReadonlyArray<number>, of: (...values: Array<number>) => number) =>
  values.length === 0 ? null : of(...values) / 1_000

/** What all said who were watched. Whoever takes a node for dead without a word before, suspects it then. */
export const killReport = (sightings: ReadonlyArray<Sighting>): KillReport => {
  const suspected = sightings.flatMap((it) => it.suspected ?? it.failed ?? [])
  const failed = sightings.flatMap((it) => it.failed ?? [])
  return {
    suspected: seconds(suspected, Math.min),
    failed: seconds(failed, Math.min),
    known: failed.length === sightings.length ? seconds(failed, Math.max) : null
  }
}

/** Looks every so many ms until all have seen it or the time is over. */
export const watchSightings = async (
  look: (sinceKill: number) => Promise<ReadonlyArray<Sighting>>,
  patienceSeconds: number,
  everyMs: number
): Promise<KillReport> => {
  const began = performance.now()
  for (;;) {
    const report = killReport(await look(performance.now() - began))
    if (report.known !== null || performance.now() - began > patienceSeconds * 1_000) return report
    await new Promise((wake) => setTimeout(wake, everyMs))
  }
}
