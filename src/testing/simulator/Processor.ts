/**
 * Processor time. A host has cores, shared by its nodes; a node's event loop does one thing at a time.
 * Work that comes while the loop or every core is busy waits in line, so that a mesh that asks for more
 * than there is gets late, and whoever counts on answers sees timeouts, as on real hosts.
 */
import type { EventQueue } from "./EventQueue.ts"

export class Host {
  /** Until when each core is taken, ms. */
  readonly cores: Float64Array
  /** Milliseconds of work that it did or has taken on. */
  busy = 0
  /** Share of its time that its nodes take without messages. */
  idle = 0

  constructor(cores: number) {
    this.cores = new Float64Array(cores)
  }

  get freest(): number {
    let least = 0
    for (let core = 1; core < this.cores.length; core++) {
      if (this.cores[core]! < this.cores[least]!) least = core
    }
    return least
  }

  /** How much longer work takes for what goes on beside it. */
  get slowness(): number {
    return 1 / Math.max(0.05, 1 - this.idle / this.cores.length)
  }
}

/** The event loop of one life of a node. */
export class Loop {
  readonly host: Host
  readonly #queue: EventQueue
  /** Until when it is busy, ms. */
  freeAt = 0
  /** Stopped until then, as by SIGSTOP. */
  pausedUntil = 0
  /** Milliseconds of work. */
  busy = 0
  /** The latest that anything waited, ms, since somebody asked. */
  worst = 0
  ended = false
  /** Told when something had to wait for more than `lateAfter`. */
  onLate: (() => void) | undefined = undefined

  constructor(host: Host, queue: EventQueue) {
    this.host = host
    this.#queue = queue
  }

  /** Runs it when its turn comes: at once when the loop is free. `cost` in milliseconds. */
  run(cost: number, task: () => void): void {
    const { now } = this.#queue
    if (this.pausedUntil > now) {
      this.#queue.at(this.pausedUntil, () => this.ended || this.run(cost, task))
      this.onLate?.()
      return
    }
    const start = this.#take(cost)
    if (start <= now) {
      task()
      return
    }
    this.#late(start - now)
    this.#queue.at(start, () => {
      if (this.ended) return
      // Stopped while it waited: what was taken of the processor stays taken.
      if (this.pausedUntil > this.#queue.now) this.run(0, task)
      else task()
    })
  }

  /** As `run` of something that is nothing by now: it costs its time, and may be late. */
  pass(cost: number): void {
    const { now } = this.#queue
    if (this.pausedUntil > now) {
      this.run(cost, () => {})
      return
    }
    this.#late(this.#take(cost) - now)
  }

  #late(wait: number): void {
    if (wait > this.worst) this.worst = wait
    if (wait > lateAfter) this.onLate?.()
  }

  /** What is being run costs so much more than was known before. */
  charge(cost: number): void {
    if (cost > 0) this.#take(cost)
  }

  /** How far its work lies behind, ms. */
  get behind(): number {
    return Math.max(0, this.freeAt - this.#queue.now)
  }

  #take(cost: number): number {
    const { host } = this
    const core = host.freest
    const start = Math.max(this.#queue.now, this.freeAt, host.cores[core]!)
    const end = start + cost * host.slowness
    this.freeAt = end
    // A core that waits for this loop does other things meanwhile.
    host.cores[core] = Math.max(host.cores[core]!, this.#queue.now) + cost * host.slowness
    host.busy += cost
    this.busy += cost
    return start
  }
}

/** Waiting longer than this may be seen in a node's own clock, ms. */
const lateAfter = 50
