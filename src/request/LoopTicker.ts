/**
 * The real clock and the real dice, for the request plane. The clock is read once per turn of the
 * event loop: a request asks for the time a dozen times, and within a turn nobody could tell the
 * answers apart. The wheel is advanced when its next timer is due and not before: an idle node
 * sleeps, also through the timers that were called off where the runtime can. Those that can wait fire at the end of a turn in
 * which somebody asked for the time.
 */
import type { OnDefect } from "../model/Defect.ts"
import type { Ticker } from "../model/Time.ts"
import { type Timer, TimerWheel } from "../model/TimerWheel.ts"

/**
 * Milliseconds between two looks whether the timer for which it means to wake was called off. A busy thread
 * calls off timers all the time, and wakes anyway.
 */
const lookEvery = 100

/**
 * Milliseconds by which a thread that wakes so much too late was held up (a long turn, a collection, a host
 * without processor time). What the deadlines wait for may have come meanwhile and lie in the kernel: it is read
 * before they fire. That the node is late says nothing about its peers.
 */
const heldUp = 2 * 10

/**
 * Does the runtime sleep through a timer that was cleared? Node's loop is woken when the earliest that it ever had is
 * due, unless another one rang since.
 */
const sleepsThroughCleared = process.versions["deno"] !== undefined

export class LoopTicker implements Ticker {
  readonly #wheel = new TimerWheel(performance.now())
  #alarm: NodeJS.Timeout | undefined
  #alarmAt = Number.POSITIVE_INFINITY
  #reading: NodeJS.Timeout | undefined
  #then: NodeJS.Immediate | undefined
  #stopped = false
  /** Of this turn of the event loop; not a number: not asked yet. */
  #turn = Number.NaN
  /** It may be woken for nothing. */
  #calledOff = false
  #looked = Number.NEGATIVE_INFINITY
  readonly #listeners = new Set<(late: number) => void>()

  /**
   * Where a timer that was called off wakes the thread all the same (not `sleepsThrough`), it is left to ring, and what
   * can wait fires with it.
   */
  constructor(sleepsThrough = sleepsThroughCleared) {
    this.#wheel.onWake = (at) => this.#wakeAt(at)
    if (!sleepsThrough) return
    this.#wheel.onCalledOff = () => {
      this.#calledOff = true
    }
  }

  /** Hears of timers whose callback throws. Unset: that is thrown on, when all that is due has fired. */
  set onDefect(onDefect: OnDefect) {
    this.#wheel.onDefect = (error) => onDefect(error, "a timer")
  }

  readonly now = (): number => {
    if (Number.isNaN(this.#turn)) {
      this.#turn = performance.now()
      setImmediate(this.#forget)
    }
    return this.#turn
  }

  readonly wall = (): number => Date.now()

  readonly random = (): number => Math.random()

  /** From now on, and not from when a turn began that may have been held up for longer than the delay. */
  readonly after = (delay: number, callback: () => void, patience?: number): Timer =>
    this.#wheel.schedule(performance.now(), delay, callback, patience)

  readonly at = (time: number, callback: () => void, patience?: number): Timer =>
    this.#wheel.scheduleAt(performance.now(), time, callback, patience)

  readonly onAlarm = (listener: (late: number) => void): (() => void) => {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** No timer fires any more. */
  stop(): void {
    this.#stopped = true
    clearTimeout(this.#alarm)
    clearTimeout(this.#reading)
    clearImmediate(this.#then)
  }

  readonly #forget = (): void => {
    const turn = this.#turn
    this.#turn = Number.NaN
    if (this.#wheel.isRipe(turn) && this.#reading === undefined && !this.#stopped) {
      // What else has become due in a turn that took long is not to fire before the sockets are looked at.
      if (performance.now() - turn < heldUp) this.#advance()
      else this.#read()
      return
    }
    if (!this.#calledOff || turn - this.#looked < lookEvery) return
    this.#looked = turn
    this.#wakeAt(this.#wheel.next())
  }

  readonly #wake = (): void => {
    const late = performance.now() - this.#alarmAt
    // Else they know already.
    if (this.#reading === undefined) {
      for (const listener of this.#listeners) listener(Math.max(0, late))
    }
    if (late < heldUp) this.#advance()
    else this.#read()
  }

  /**
   * Fires what is due when the sockets have been looked at: on Node immediates come after that, on Deno timers
   * do, but for those whose time has come already.
   */
  #read(): void {
    this.#reading ??= setTimeout(() => {
      this.#then = setImmediate(this.#advance)
    }, 1)
  }

  readonly #advance = (): void => {
    this.#reading = undefined
    try {
      this.#wheel.advance(performance.now())
    } finally {
      this.#wakeAt(this.#wheel.next())
    }
  }

  #wakeAt(at: number | undefined): void {
    this.#calledOff = false
    clearTimeout(this.#alarm)
    if (this.#stopped || at === undefined) return
    this.#alarmAt = at
    this.#alarm = setTimeout(this.#wake, Math.max(1, Math.ceil(at - performance.now())))
  }
}
