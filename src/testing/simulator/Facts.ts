/** What is noted of a run while it goes: for invariants, for people, and for the chart. */
import type { MemberState } from "../../mesh/membership/MemberTable.ts"
import type { Simulation } from "./Simulation.ts"
import type { MeshNode } from "./World.ts"

export interface Sample {
  /** Milliseconds. */
  readonly at: number
  /** Share of nodes that hold the catalogue which most hold. */
  readonly agreement: number
  readonly suspected: number
  readonly dead: number
  readonly missed: number
  readonly missingLinks: number
  readonly handshakes: number
  /** Kilobytes a second and node, in and out. */
  readonly traffic: number
  /** Share of all cores. */
  readonly load: number
  /** The latest that anything waited for its loop, ms. */
  readonly lateness: number
}

export interface FalseDeath {
  readonly by: number
  readonly about: number
  readonly at: number
}

/** Lines of a trace that are kept. */
const mostLines = 400

const states: ReadonlyArray<MemberState | undefined> = [
  undefined,
  "alive",
  "suspect",
  "dead",
  "left"
]

export class Facts {
  readonly samples: Array<Sample> = []
  readonly falseDeaths: Array<FalseDeath> = []
  /** Beliefs that somebody who is up is suspect, as they arose. */
  falseSuspicions = 0
  /** The latest that anything ever waited for a loop, ms. */
  worst = 0
  readonly #trace: Array<string> = []
  readonly #told = new Map<number, number>()
  readonly #sim: Simulation
  #bytes = 0
  #work = 0
  #handshakes = 0
  #sampledAt = 0

  constructor(sim: Simulation) {
    this.#sim = sim
    sim.beliefs.add((by, about, state) => this.#believed(by, about, state))
  }

  note(line: string): void {
    this.#trace.push(`${(this.#sim.now / 1_000).toFixed(2).padStart(8)} s  ${line}`)
    if (this.#trace.length > 2 * mostLines) this.#trace.splice(0, mostLines)
  }

  /** The last lines of what happened. */
  trace(lines: number): ReadonlyArray<string> {
    return this.#trace.slice(-lines)
  }

  /** Notes how the mesh is. */
  sample(): Sample {
    const sim = this.#sim
    const span = Math.max(1, sim.now - this.#sampledAt)
    const cores = sim.hosts.reduce((sum, { cores }) => sum + cores.length, 0)
    const sample: Sample = {
      at: sim.now,
      agreement: sim.agreement(),
      ...sim.errors(),
      missingLinks: sim.missingLinks(),
      handshakes: sim.handshakes - this.#handshakes,
      traffic: (sim.bytes - this.#bytes) / span / Math.max(1, sim.up.length),
      load: (sim.work - this.#work) / span / cores,
      lateness: sim.lateness()
    }
    this.#bytes = sim.bytes
    this.#work = sim.work
    this.#handshakes = sim.handshakes
    this.#sampledAt = sim.now
    this.worst = Math.max(this.worst, sample.lateness)
    this.samples.push(sample)
    return sample
  }

  #believed(by: MeshNode, about: MeshNode, state: MemberState | undefined): void {
    if (state === "suspect" && about.up) this.falseSuspicions++
    if (state === "dead" && about.up) {
      this.falseDeaths.push({ by: by.index, about: about.index, at: this.#sim.now })
    }
    // The first who says so, and how many others: the trace of a thousand nodes is to be read.
    const key = about.index * states.length + states.indexOf(state)
    const before = this.#told.get(key) ?? Number.NEGATIVE_INFINITY
    this.#told.set(key, this.#sim.now)
    if (this.#sim.now - before > 1_000) {
      this.note(`node ${about.index} is ${state ?? "forgotten"} to node ${by.index}`)
    }
  }
}
