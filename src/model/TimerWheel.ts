/**
 * Deadlines for the request plane. A request sets and cancels two or three timers and nearly none
 * fires, so both must cost next to nothing: a timer is a node of a doubly linked list in the slot
 * of its tick (Varghese & Lauck 1987, scheme 6: a hashed wheel). Pure: somebody else advances it.
 *
 * Resolution is one tick (default 10 ms): a timer fires in the first `advance` at or after its
 * deadline rounded up to a tick, never early. One that can wait fires
 * with others, and so costs a sleeping thread nothing.
 */
export interface Timer {
  /** Takes the timer off the wheel; harmless when it has fired or was cancelled. */
  cancel(): void
}

class Entry implements Timer {
  previous: Entry | undefined = undefined
  next: Entry | undefined = undefined
  readonly wheel: TimerWheel
  readonly tick: number
  readonly slot: number
  /** The tick from which it fires if there is an `advance`; `tick` is the one at which there has to be. */
  readonly from: number
  callback: (() => void) | undefined

  constructor(wheel: TimerWheel, tick: number, slot: number, from: number, callback: () => void) {
    this.wheel = wheel
    this.tick = tick
    this.slot = slot
    this.from = from
    this.callback = callback
  }

  get isPatient(): boolean {
    return this.from < this.tick
  }

  cancel(): void {
    if (this.callback === undefined) return
    this.callback = undefined
    this.wheel.unlink(this)
    this.wheel.calledOff(this.tick)
  }
}

/** Timers of one slot that are looked at to find out when the next is due. */
const mostLooked = 32

export class TimerWheel {
  readonly resolution: number
  readonly #slots: Array<Entry | undefined>
  #tick: number
  #size = 0
  /** Those that can wait. Few: what a node looks after now and then. */
  readonly #patient = new Set<Entry>()
  /** No earlier than this tick the first of them may fire. */
  #ripe = Number.POSITIVE_INFINITY
  /** The tick before which the driver means to sleep. */
  #asleepUntil = Number.POSITIVE_INFINITY
  /** A timer is due (at this time) before the driver means to come back. */
  onWake: ((at: number) => void) | undefined = undefined
  /** The driver may have no reason any more to come back when it means to: `next` tells. */
  onCalledOff: (() => void) | undefined = undefined
  /** A callback threw; the others that are due fire all the same. Unset: `advance` throws it then. */
  onDefect: ((error: unknown) => void) | undefined = undefined

  constructor(now: number, resolution = 10, slots = 1024) {
    this.resolution = resolution
    this.#slots = new Array<Entry | undefined>(slots).fill(undefined)
    this.#tick = Math.floor(now / resolution)
  }

  /** Timers waiting. */
  get size(): number {
    return this.#size
  }

  /**
   * `now` and `delay` in milliseconds; `now` on the same clock as `advance`. `patience`: so much later it may fire, ms,
   * with the first `advance` that others cause.
   */
  schedule(now: number, delay: number, callback: () => void, patience = 0): Timer {
    return this.scheduleAt(now, now + Math.max(0, delay), callback, patience)
  }

  /** As `schedule`, for a time on the same clock; one that is over: in the next `advance`. */
  scheduleAt(now: number, time: number, callback: () => void, patience = 0): Timer {
    if (this.#size === 0) this.#tick = Math.max(this.#tick, Math.floor(now / this.resolution))
    const due = Math.ceil(time / this.resolution)
    const from = Math.max(due, this.#tick + 1)
    const tick = Math.max(from, due + Math.floor(patience / this.resolution))
    const slot = tick % this.#slots.length
    const entry = new Entry(this, tick, slot, from, callback)
    if (entry.isPatient) {
      this.#patient.add(entry)
      this.#ripe = Math.min(this.#ripe, from)
    }
    const head = this.#slots[slot]
    entry.next = head
    if (head !== undefined) head.previous = entry
    this.#slots[slot] = entry
    this.#size++
    if (tick < this.#asleepUntil) {
      this.#asleepUntil = tick
      this.onWake?.(tick * this.resolution)
    }
    return entry
  }

  /**
   * When `advance` is to be called next; undefined: no timer waits. What is due before it from now
   * on is told by `onWake`. May be too early, never too late.
   */
  next(): number | undefined {
    this.#asleepUntil = this.#size === 0 ? Number.POSITIVE_INFINITY : this.#nextTick()
    return this.#size === 0 ? undefined : this.#asleepUntil * this.resolution
  }

  #nextTick(): number {
    const end = this.#tick + this.#slots.length
    for (let tick = this.#tick + 1; tick <= end; tick++) {
      let looked = 0
      let entry = this.#slots[tick % this.#slots.length]
      for (; entry !== undefined; entry = entry.next) {
        // One that is due in a later round; a slot full of such is not searched to its end.
        if (entry.tick <= tick || ++looked === mostLooked) return tick
      }
    }
    return end
  }

  /** Would an `advance` fire one that can wait? May be wrongly true, once. */
  isRipe(now: number): boolean {
    return Math.floor(now / this.resolution) >= this.#ripe
  }

  /** Fires what is due. A callback may schedule and cancel, and what it throws is its own. */
  advance(now: number): void {
    const target = Math.floor(now / this.resolution)
    if (target <= this.#tick) return
    // After a long sleep every slot is looked at once, not once per missed tick.
    const first = Math.max(this.#tick + 1, target - this.#slots.length + 1)
    this.#tick = target
    // Whatever is scheduled meanwhile is found by the `next` that follows.
    this.#asleepUntil = Number.NEGATIVE_INFINITY
    let failure: { readonly error: unknown } | undefined
    for (let tick = first; tick <= target && this.#size > 0; tick++) {
      let entry = this.#slots[tick % this.#slots.length]
      const due: Array<Entry> = []
      for (; entry !== undefined; entry = entry.next) if (entry.tick <= target) due.push(entry)
      const failed = this.#fire(due.reverse())
      failure ??= failed
    }
    const failed = target >= this.#ripe ? this.#fire(this.#ripeAt(target)) : undefined
    failure ??= failed
    if (failure !== undefined) throw failure.error
  }

  #ripeAt(target: number): ReadonlyArray<Entry> {
    const due: Array<Entry> = []
    this.#ripe = Number.POSITIVE_INFINITY
    for (const entry of this.#patient) {
      if (entry.from <= target) due.push(entry)
      else this.#ripe = Math.min(this.#ripe, entry.from)
    }
    return due
  }

  /** Answers with the first thing that was thrown and that nobody else hears of. */
  #fire(due: ReadonlyArray<Entry>): { readonly error: unknown } | undefined {
    let failure: { readonly error: unknown } | undefined
    for (const entry of due) {
      const { callback } = entry
      if (callback === undefined) continue // cancelled by an earlier callback of this advance
      entry.callback = undefined
      this.unlink(entry)
      try {
        callback()
      } catch (error) {
        if (this.onDefect === undefined) failure ??= { error }
        else this.onDefect(error)
      }
    }
    return failure
  }

  /** For Entry only. */
  calledOff(tick: number): void {
    if (tick === this.#asleepUntil) this.onCalledOff?.()
  }

  /** For Entry only. */
  unlink(entry: Entry): void {
    if (entry.previous === undefined) this.#slots[entry.slot] = entry.next
    else entry.previous.next = entry.next
    if (entry.next !== undefined) entry.next.previous = entry.previous
    entry.previous = undefined
    entry.next = undefined
    if (entry.isPatient) this.#patient.delete(entry)
    this.#size--
  }
}
