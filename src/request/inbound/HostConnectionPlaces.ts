/**
 * Connections to one program that request threads share. A thread takes what is free, up to all of them. When
 * none is, and requests wait in one thread, the others give back what comes free in one that has more than an even
 * share, and what nobody uses there for a moment: at the end of a request nobody knows whether the next one is on its way.
 *
 * Nobody looks at what the threads share for a request that finds a connection: a thread whose requests want a
 * place rings the others that have some, and from then on they look. Who gives one back rings those that want it.
 * What waits for something else, as for a descriptor, takes no place from anybody.
 */
import type { Ticker } from "../../model/Time.ts"
import type { Timer } from "../../model/TimerWheel.ts"
import type { HostCount } from "../policy/HostCounts.ts"
import type { HostPlaces } from "./HostPlaces.ts"
import type { ConnectionPlaces, ConnectionUser } from "./Places.ts"

export interface HostConnectionPlacesOptions {
  readonly connections: HostPlaces
  readonly waiting: HostPlaces
  /** Of those that wait, how many do so for a place. */
  readonly wanting: HostCount
  /** This one, of so many. */
  readonly thread: number
  readonly threads: number
  readonly ticker: Ticker
  /** That thread looks, in a later turn. */
  readonly ring: (thread: number) => void
  /** From now on `look` is called when this thread is rung … */
  readonly onJoin: (places: HostConnectionPlaces) => void
  /** … and from now on no more. */
  readonly onLeave: (places: HostConnectionPlaces) => void
}

/**
 * Who waits looks so often, ms, and has the others look, besides when it is rung: two that take the last place at the
 * same moment may both find that it is taken, and what is idle becomes so for long enough.
 */
const lookEvery = 50
/** A connection that was idle for so long, ms, is given back also by who has no more than an even share. */
const idleLong = 100

export class HostConnectionPlaces implements ConnectionPlaces {
  readonly waiting: HostPlaces
  readonly #options: HostConnectionPlacesOptions
  readonly #connections: HostPlaces
  readonly #wanting: HostCount
  #user: ConnectionUser | undefined
  /** Other threads want places, or did when it was last looked. */
  #wanted = false
  /** What waits here waits for a place. */
  #lacks = false
  /** Of `wanting`, those that this one has counted. */
  #wants = 0
  #timer: Timer | undefined
  /** Of `waiting`, those that wait with this one. */
  #waits = 0
  #left = false

  constructor(options: HostConnectionPlacesOptions) {
    this.#options = options
    this.#connections = options.connections
    this.#wanting = options.wanting
    this.waiting = options.waiting
  }

  get most(): number {
    return this.#connections.most
  }

  get taken(): number {
    return this.#connections.taken
  }

  get #free(): number {
    return this.most - this.taken
  }

  take(): boolean {
    if (this.#isOthers || !this.#connections.take()) {
      this.#want(true)
      return false
    }
    return true
  }

  takeAnyway(): void {
    this.#connections.takeAnyway()
  }

  give(): void {
    this.#connections.give()
    const { ring, thread, threads } = this.#options
    for (let other = 0; other < threads; other++) {
      if (other !== thread && this.#wanting.of(other) > 0) ring(other)
    }
  }

  putBack(): void {
    this.#connections.give()
    this.wantNone()
  }

  wantNone(): void {
    this.#want(false)
  }

  wait(): boolean {
    if (!this.waiting.take()) return false
    this.#waits++
    this.#timer ??= this.#options.ticker.after(lookEvery, this.#onTime)
    this.#want(this.#lacks)
    return true
  }

  waitNoMore(): void {
    this.waiting.give()
    this.#waits--
    this.#want(this.#lacks)
    if (this.#waits > 0) return
    this.#timer?.cancel()
    this.#timer = undefined
    if (this.#left) this.#options.onLeave(this)
  }

  owes(leaving = 0): boolean {
    if (!this.#wanted) return false // as after nearly every request
    if (this.#wantedBy() === 0) {
      this.#wanted = false
      return false
    }
    const share = this.#share
    return this.#connections.held - leaving > share && this.#wantedBy(share) > this.#free + leaving
  }

  keep(user: ConnectionUser): void {
    this.#user = user
    this.#options.onJoin(this)
  }

  keepNoMore(): void {
    this.#left = true
    if (this.#waits === 0) this.#options.onLeave(this)
  }

  /** This thread was rung. */
  look(): void {
    const user = this.#user
    if (user === undefined || (this.#waits === 0 && this.#connections.held === 0)) return
    this.#wanted = this.#wantedBy() > 0
    let waits: number
    do {
      waits = this.#waits
      if (waits > 0 && this.#free > 0) user.onRoom()
    } while (this.#waits < waits)
    if (!this.#wanted) return
    while (this.owes() && user.closeOneIdle());
    while (this.#wantedBy() > this.#free && user.closeOneIdle(idleLong));
  }

  readonly #onTime = (): void => {
    this.#timer = this.#options.ticker.after(lookEvery, this.#onTime)
    this.look()
    if (this.#wants > 0 && this.#free <= 0) this.#ringHolders()
  }

  /** What waits here lacks a place, or something else. */
  #want(lacks: boolean): void {
    this.#lacks = lacks
    const wants = lacks ? this.#waits : 0
    const more = wants - this.#wants
    if (more < 0) {
      this.#wanting.remove(-more)
      this.#wants = wants
    } else if (more > 0) {
      if (this.#wanting.add(more)) this.#wants = wants
      // What others gave back before they could see that somebody waits.
      if (this.#free > 0) this.#options.ring(this.#options.thread)
      else this.#ringHolders()
    }
  }

  #ringHolders(): void {
    const { ring, thread, threads } = this.#options
    for (let other = 0; other < threads; other++) {
      if (other !== thread && this.#connections.of(other) > 0) ring(other)
    }
  }

  /** What is free is on its way to others, who have fewer. */
  get #isOthers(): boolean {
    if (!this.#wanted) return false
    const share = this.#share
    return this.#connections.held >= share && this.#wantedBy(share) >= this.#free
  }

  /** Of each thread that has or wants any. */
  get #share(): number {
    const { thread, threads } = this.#options
    let sharers = 1
    for (let other = 0; other < threads; other++) {
      if (other === thread) continue
      if (this.#connections.of(other) > 0 || this.#wanting.of(other) > 0) sharers++
    }
    return Math.floor(this.most / sharers)
  }

  /** Requests that want a place in other threads; only in those that have fewer connections than `below`. */
  #wantedBy(below = Number.POSITIVE_INFINITY): number {
    const { thread, threads } = this.#options
    let sum = 0
    for (let other = 0; other < threads; other++) {
      if (other === thread) continue
      const wanting = this.#wanting.of(other)
      if (wanting > 0 && this.#connections.of(other) < below) sum += wanting
    }
    return sum
  }
}
