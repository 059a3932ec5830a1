/** How fast a mesh tells, doubts and buries, and what it costs at rest, in numbers to be held to. */
import { Simulation } from "../../src/testing/simulator/mod.ts"

/** Milliseconds unless said otherwise; percentiles over all nodes and all events. */
export interface Measured {
  readonly nodes: number
  readonly seed: number
  /** A changed record, until it is with somebody: of a hundred, 99 are within. */
  readonly seen: number
  /** A killed process, whose kernel says so, and a host that is gone without a word. */
  readonly killed: { readonly suspected: number; readonly dead: number }
  readonly silent: { readonly suspected: number; readonly dead: number }
  /** Kilobytes a second and node at rest, in and out, records that are renewed included. */
  readonly idle: number
  /** Percent of a core that messages take of a node at rest, by the table of costs (Profile.ts). */
  readonly idleWork: number
}

export interface Amount {
  readonly changes: number
  readonly crashes: number
  /** Seconds at rest. */
  readonly rest: number
}

const percentile = (values: Array<number>, share: number): number => {
  values.sort((a, b) => a - b)
  return values[Math.min(values.length - 1, Math.floor(share * values.length))] ?? Number.NaN
}

const anybody = (sim: Simulation): number => {
  while (true) {
    const index = Math.floor(sim.random() * sim.nodes.length)
    if (sim.node(index).up) return index
  }
}

const measureChanges = (sim: Simulation, changes: number): number => {
  const took: Array<number> = []
  for (let n = 0; n < changes; n++) {
    const index = anybody(sim)
    const began = sim.now
    const watch = (_: unknown, record: { readonly peer: string; readonly software: string }) => {
      if (record.peer === sim.node(index).peer && record.software === `change ${n}`) {
        took.push(sim.now - began)
      }
    }
    sim.arrivals.add(watch)
    sim.node(index).catalogue.change({ software: `change ${n}` })
    sim.advance(3_000)
    sim.arrivals.delete(watch)
  }
  // Who has not heard in time has never heard, for this purpose.
  while (took.length < changes * sim.up.length) took.push(Number.POSITIVE_INFINITY)
  return percentile(took, 0.99)
}

const measureCrashes = (sim: Simulation, crashes: number, how: "crash" | "vanish") => {
  const suspected: Array<number> = []
  const dead: Array<number> = []
  for (let n = 0; n < crashes; n++) {
    sim.advance(1_000 * sim.random())
    const victim = sim.node(anybody(sim))
    const began = sim.now
    const doubting = new Set<number>()
    const watch = (
      by: { readonly index: number },
      about: { readonly index: number },
      state: string | undefined
    ) => {
      if (about.index !== victim.index) return
      if (state === "suspect" && !doubting.has(by.index)) {
        doubting.add(by.index)
        suspected.push(sim.now - began)
      } else if (state === "dead") dead.push(sim.now - began)
    }
    sim.beliefs.add(watch)
    victim[how]()
    sim.advance(16_000)
    sim.beliefs.delete(watch)
    while (suspected.length < (n + 1) * sim.up.length - n) suspected.push(Number.POSITIVE_INFINITY)
    while (dead.length < (n + 1) * sim.up.length - n) dead.push(Number.POSITIVE_INFINITY)
  }
  return { suspected: percentile(suspected, 0.99), dead: percentile(dead, 0.99) }
}

export const measure = (nodes: number, seed: number, amount: Amount): Measured => {
  const sim = new Simulation({ nodes, seed, aged: true })
  sim.advance(2_000)
  const [bytes, now, work] = [sim.bytes, sim.now, sim.work]
  sim.advance(1_000 * amount.rest)
  const idle = (sim.bytes - bytes) / (sim.now - now) / nodes
  const idleWork = (100 * (sim.work - work)) / (sim.now - now) / nodes
  const seen = measureChanges(sim, amount.changes)
  const killed = measureCrashes(sim, amount.crashes, "crash")
  const silent = measureCrashes(sim, amount.crashes, "vanish")
  return { nodes, seed, seen, killed, silent, idle, idleWork }
}
