/**
 * For tests of what policies do to traffic: an Outbound among programs that take their time, on a
 * clock that jumps from event to event. Everything random comes from one seed.
 */
import type { PolicyInput } from "../schema/PolicySchema.ts"
import { endpointView, Fixture } from "./OutboundFixture.ts"
import { seededRandom } from "./simulator/EventQueue.ts"

export interface ProgramAnswer {
  readonly status: number
  /** Milliseconds until it comes. */
  readonly after: number
}

export interface SimulatedProgram {
  readonly weight?: number
  readonly answer: (random: () => number, now: number) => ProgramAnswer
}

/** Exponential: as irregular as independent arrivals or a simple queue make it. */
export const exponential = (mean: number, random: () => number): number =>
  -mean * Math.log(1 - random())

/** Within a tenth of the mean. */
export const steady = (mean: number, random: () => number): number => mean * (0.9 + 0.2 * random())

/** A program that is well: always 200, after exponential times. */
export const well = (mean: number, weight?: number): SimulatedProgram => ({
  ...(weight === undefined ? {} : { weight }),
  answer: (random) => ({ status: 200, after: exponential(mean, random) })
})

/** What became of one request. */
interface Sent {
  readonly at: number
  /** Index of the program. */
  readonly to: number
  readonly status: number
}

const letters = "abcdefghijklmnopqrstuvwxyz"

export class OutboundSimulation {
  readonly mesh: Fixture
  readonly sent: Array<Sent> = []
  readonly #programs: ReadonlyArray<SimulatedProgram>
  readonly #random: () => number
  /** What is to happen, latest first. */
  readonly #events: Array<{ readonly at: number; readonly run: () => void }> = []

  constructor(policy: PolicyInput, programs: ReadonlyArray<SimulatedProgram>, seed: number) {
    this.#programs = programs
    this.#random = seededRandom(seed)
    this.mesh = new Fixture(
      policy,
      programs.map(({ weight = 100 }, index) => endpointView(letters[index]!, { weight })),
      { random: seededRandom(seed + 1) }
    )
  }

  get now(): number {
    return this.mesh.ticker.now()
  }

  /** `callers` that each send their next request when they have the answer to the last. */
  closed(callers: number, ms: number): this {
    const end = this.now + ms
    const next = () => {
      if (this.now < end) this.#send(next)
    }
    for (let i = 0; i < callers; i++) this.#at(this.now + i / callers, next)
    return this.#run()
  }

  /** Requests whether or not there were answers, irregularly, so many a second. */
  open(perSecond: number, ms: number): this {
    const end = this.now + ms
    const arrive = () => {
      if (this.now >= end) return
      this.#send(() => undefined)
      this.#at(this.now + exponential(1_000 / perSecond, this.#random), arrive)
    }
    this.#at(this.now, arrive)
    return this.#run()
  }

  /** How many requests each program got in this time. */
  counts(from = 0, to = Number.POSITIVE_INFINITY): ReadonlyArray<number> {
    const counts = this.#programs.map(() => 0)
    for (const { at, to: index } of this.sent) if (at >= from && at < to) counts[index]!++
    return counts
  }

  /** The same as shares of all. */
  shares(from?: number, to?: number): ReadonlyArray<number> {
    const counts = this.counts(from, to)
    const total = counts.reduce((sum, count) => sum + count, 0)
    return counts.map((count) => (total === 0 ? 0 : count / total))
  }

  #send(then: () => void): void {
    this.mesh.request()
    const call = this.mesh.last
    const to = letters.indexOf(call.peer[0] ?? "")
    const { after, status } = this.#programs[to]!.answer(this.#random, this.now)
    this.sent.push({ at: this.now, to, status })
    this.#at(this.now + after, () => {
      call.respond(status)
      then()
    })
  }

  #at(at: number, run: () => void): void {
    let low = 0
    let high = this.#events.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#events[middle]!.at > at) low = middle + 1
      else high = middle
    }
    this.#events.splice(low, 0, { at, run })
  }

  #run(): this {
    for (let event = this.#events.pop(); event !== undefined; event = this.#events.pop()) {
      this.mesh.ticker.advance(event.at - this.now)
      event.run()
    }
    return this
  }
}
