/** The limits of a node whose request threads share memory: each number is the host's. */
import type { OnDefect } from "../../model/Defect.ts"
import type { Ticker } from "../../model/Time.ts"
import { clearColumn, HostCounts } from "../policy/HostCounts.ts"
import { ThreadBells } from "../policy/ThreadBells.ts"
import { HostConnectionPlaces } from "./HostConnectionPlaces.ts"
import { HostPlaces } from "./HostPlaces.ts"
import type { ConnectionPlaces, Limits, Places } from "./Places.ts"

export interface HostLimitsOptions {
  readonly counts: SharedArrayBuffer
  readonly bells: SharedArrayBuffer
  /** This one, of so many. */
  readonly thread: number
  readonly threads: number
  readonly ticker: Ticker
  readonly onDefect: OnDefect
}

export class HostLimits implements Limits {
  readonly #options: HostLimitsOptions
  readonly #counts: HostCounts
  readonly #bells: ThreadBells
  readonly #joined = new Set<HostConnectionPlaces>()

  /** What a thread before this one has left behind is forgotten. */
  constructor(options: HostLimitsOptions) {
    const { bells, counts, onDefect, thread, threads } = options
    this.#options = options
    clearColumn(counts, thread)
    this.#counts = new HostCounts(counts, thread, threads)
    this.#bells = new ThreadBells({ memory: bells, thread, onDefect, onRing: () => this.#look() })
    for (let other = 0; other < threads; other++) if (other !== thread) this.#bells.ring(other)
  }

  places(name: string, most: number): Places {
    return this.#shared(name, most)
  }

  connections(name: string, most: number, mostWaiting: number): ConnectionPlaces {
    const { thread, threads, ticker } = this.#options
    return new HostConnectionPlaces({
      ...{ thread, threads, ticker },
      connections: this.#shared(name, most),
      waiting: this.#shared(`${name} waiting`, mostWaiting),
      wanting: this.#counts.count(`${name} wanting`),
      ring: (other) => this.#bells.ring(other),
      onJoin: (places) => this.#joined.add(places),
      onLeave: (places) => this.#joined.delete(places)
    })
  }

  stop(): void {
    this.#bells.stop()
  }

  #shared(name: string, most: number): HostPlaces {
    const part = Math.ceil(most / this.#options.threads)
    return new HostPlaces(this.#counts.count(name), most, part)
  }

  #look(): void {
    for (const places of this.#joined) places.look()
  }
}
