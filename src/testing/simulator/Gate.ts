/**
 * The decisions of the mesh's handshake gate, as a synchronous machine for virtual time: so many
 * handshakes at once, members before strangers, and who would wait too long is told when to come back.
 */
export interface GateLimits {
  /** Handshakes at a time; infinite: no gate. Default 6. */
  readonly atOnce: number
  /** Of them, those of hosts from which nobody was let in yet. Default 4. */
  readonly strangers: number
  /** In line. Default 128. */
  readonly waiting: number
  /** Who would wait longer is told to come back, ms. Default 1,500. */
  readonly patience: number
}

export const defaultGateLimits: GateLimits = {
  atOnce: 6,
  strangers: 4,
  waiting: 128,
  patience: 1_500
}

/** What somebody is told to wait, ms. */
const leastPause = 100
const mostPause = 10_000

export interface Caller {
  readonly known: boolean
  /** Its turn has come. `leave` is to be called once, with the time, when it is over. */
  readonly begin: (leave: (now: number) => void) => void
  /** It is told to come back in so many ms. */
  readonly refuse: (retryAfter: number) => void
}

export class Gate {
  /** Told to come back, so far. */
  refused = 0
  running = 0
  readonly #limits: GateLimits
  readonly #line: Array<Caller> = []
  #strangers = 0
  #usual = 50

  constructor(limits: GateLimits) {
    this.#limits = limits
  }

  get waiting(): number {
    return this.#line.length
  }

  enter(now: number, caller: Caller): void {
    const { known } = caller
    if (this.#hasRoom(known) && !this.#line.some((one) => one.known || !known)) {
      this.#begin(now, caller)
      return
    }
    const before = known ? this.#line.filter((one) => one.known).length : this.#line.length
    const wait = ((before + 1) * this.#usual) / this.#limits.atOnce
    if (before >= this.#limits.waiting || wait > this.#limits.patience) {
      this.refused++
      caller.refuse(Math.min(mostPause, Math.max(leastPause, wait)))
      return
    }
    this.#line.splice(before, 0, caller)
  }

  #hasRoom(known: boolean): boolean {
    return this.running < this.#limits.atOnce && (known || this.#strangers < this.#limits.strangers)
  }

  #begin(began: number, caller: Caller): void {
    this.running++
    if (!caller.known) this.#strangers++
    let over = false
    caller.begin((now) => {
      if (over) return
      over = true
      this.running--
      if (!caller.known) this.#strangers--
      this.#usual += (now - began - this.#usual) / 8
      this.#next(now)
    })
  }

  #next(now: number): void {
    for (let at = 0; at < this.#line.length && this.running < this.#limits.atOnce; ) {
      const caller = this.#line[at]!
      if (!this.#hasRoom(caller.known)) at++
      else {
        this.#line.splice(at, 1)
        this.#begin(now, caller)
      }
    }
  }
}
