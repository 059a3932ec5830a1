/**
 * Who may do a handshake now, who waits in line, and who is told to come back: the decisions of the
 * handshake gate (HandshakeGate.ts), without promises, so that simulated nodes run them, too.
 */

export interface GateLimits {
  /** Handshakes at a time. Default 6: enough to use the time in which peers are waited for. */
  readonly atOnce: number
  /** Of them, those of addresses from which nobody was let in yet. Default 4. */
  readonly strangers: number
  /** In line. Default 128. */
  readonly waiting: number
  /** Who would wait longer is told to come back, ms. Default 1,500. */
  readonly patience: number
  /** For so long a handshake counts as one under way, ms. Default 1,000. */
  readonly counts: number
}

const defaultLimits: GateLimits = {
  atOnce: 6,
  strangers: 4,
  waiting: 128,
  patience: 1_500,
  counts: 1_000
}

/** What somebody is told to wait, ms: never nothing, and never so long that a busy hour is a closed door. */
const leastPause = 100
const mostPause = 10_000

/** Monotonic ms, and something to be done so many ms from now. */
export interface LineClock {
  readonly now: () => number
  readonly after: (delay: number, run: () => void) => { readonly cancel: () => void }
}

export interface Caller {
  /** Somebody was let in from there before. */
  readonly known: boolean
  /** Its turn has come. `leave` is to be called when its handshake is over; further calls do nothing. */
  readonly begin: (leave: () => void) => void
  /** It is to come back in so many ms. */
  readonly refuse: (retryAfter: number) => void
}

export class HandshakeLine {
  /** Told to come back. */
  refused = 0
  readonly #limits: GateLimits
  readonly #clock: LineClock
  readonly #line: Array<Caller> = []
  #running = 0
  #strangers = 0
  /** What a handshake takes, ms: a moving average. */
  #usual = 50

  constructor(clock: LineClock, limits: Partial<GateLimits> = {}) {
    this.#clock = clock
    this.#limits = { ...defaultLimits, ...limits }
  }

  get running(): number {
    return this.#running
  }

  get waiting(): number {
    return this.#line.length
  }

  /** Begins it, puts it in line, or refuses it. What it returns takes one that has hung up out of the line. */
  enter(caller: Caller): () => void {
    const { known } = caller
    const { atOnce, patience, waiting } = this.#limits
    if (this.#hasRoom(known) && !this.#line.some((one) => one.known || !known)) {
      this.#begin(caller)
      return () => {}
    }
    const before = known ? this.#line.filter((one) => one.known).length : this.#line.length
    const wait = ((before + 1) * this.#usual) / atOnce
    if (before >= waiting || wait > patience) {
      this.refused++
      caller.refuse(Math.min(mostPause, Math.max(leastPause, wait)))
      return () => {}
    }
    this.#line.splice(before, 0, caller)
    return () => {
      const at = this.#line.indexOf(caller)
      if (at !== -1) this.#line.splice(at, 1)
    }
  }

  #hasRoom(known: boolean): boolean {
    const { atOnce, strangers } = this.#limits
    return this.#running < atOnce && (known || this.#strangers < strangers)
  }

  #begin({ begin, known }: Caller): void {
    this.#running++
    if (!known) this.#strangers++
    const began = this.#clock.now()
    let counts = true
    const release = () => {
      if (!counts) return
      counts = false
      this.#running--
      if (!known) this.#strangers--
      this.#next()
    }
    const timer = this.#clock.after(this.#limits.counts, release)
    let left = false
    begin(() => {
      if (left) return
      left = true
      timer.cancel()
      const took = Math.min(this.#limits.counts, this.#clock.now() - began)
      this.#usual += (took - this.#usual) / 8
      release()
    })
  }

  #next(): void {
    for (let at = 0; at < this.#line.length; ) {
      const waiting = this.#line[at]!
      if (this.#running >= this.#limits.atOnce) return
      if (!this.#hasRoom(waiting.known)) at++
      else {
        this.#line.splice(at, 1)
        this.#begin(waiting)
      }
    }
  }
}
