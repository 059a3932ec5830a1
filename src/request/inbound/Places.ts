/**
 * How many of something there may be at a time: of connections to one program, of requests that wait for
 * one. The number is the host's: over all request threads, whichever the calls came by.
 */
import type { Waiter } from "../socket/SocketBudget.ts"

export interface Places {
  readonly most: number
  /** On the whole host. */
  readonly taken: number
  /** False: there is none. */
  take(): boolean
  /** Whether there is one or not: what is to be done once more, or only counted. */
  takeAnyway(): void
  give(): void
}

/** Who has connections: hears when there may be room for further ones. */
export interface ConnectionUser extends Waiter {
  /** Closes one now that nobody has used for so many ms, and gives it back; false when there is none. Default: 0. */
  closeOneIdle(idleFor?: number): boolean
}

export interface ConnectionPlaces extends Places {
  /** Requests that wait for a connection. Changed by `wait` and `waitNoMore`. */
  readonly waiting: Pick<Places, "most" | "taken">
  /** A request waits for a connection. False: so many do that it may not. */
  wait(): boolean
  /** It has got one, or has given up. */
  waitNoMore(): void
  /**
   * One that was taken, and could not be used for want of something else: what waits here wants no place. Unlike
   * `give` it tells nobody, who may be as badly off and would put it back too, without end.
   */
  putBack(): void
  /** What waits here waits for something else than a place, until `take` finds none. */
  wantNone(): void
  /**
   * A connection that comes free is to be given back, because this thread has more than an even share and others
   * wait for theirs. `leaving`: so many are as good as given back. Costs next to nothing as long as nobody waits.
   */
  owes(leaving?: number): boolean
  keep(user: ConnectionUser): void
  /** What waits goes on waiting. */
  keepNoMore(): void
}

/** Where they are from, by the names of what is counted: those of one name are the same. */
export interface Limits {
  places(name: string, most: number): Places
  connections(name: string, most: number, mostWaiting: number): ConnectionPlaces
}

/** Of one thread alone. */
export class OwnPlaces implements Places {
  readonly most: number
  #taken = 0

  constructor(most: number) {
    this.most = most
  }

  get taken(): number {
    return this.#taken
  }

  take(): boolean {
    if (this.#taken >= this.most) return false
    this.#taken++
    return true
  }

  takeAnyway(): void {
    this.#taken++
  }

  give(): void {
    this.#taken--
  }
}

/** There is no other thread to wait for: what comes free is seen to where it does. */
export class OwnConnectionPlaces extends OwnPlaces implements ConnectionPlaces {
  readonly waiting: OwnPlaces

  constructor(most: number, mostWaiting: number) {
    super(most)
    this.waiting = new OwnPlaces(mostWaiting)
  }

  wait(): boolean {
    return this.waiting.take()
  }

  waitNoMore(): void {
    this.waiting.give()
  }

  putBack(): void {
    this.give()
  }

  wantNone(): void {}

  owes(): boolean {
    return false
  }

  keep(): void {}

  keepNoMore(): void {}
}

/** Of a thread that shares no memory with others, if there are any: it has its part of each number. */
export class OwnLimits implements Limits {
  readonly #threads: number

  constructor(threads = 1) {
    this.#threads = threads
  }

  places(_name: string, most: number): Places {
    return new OwnPlaces(this.#partOf(most))
  }

  connections(_name: string, most: number, mostWaiting: number): ConnectionPlaces {
    return new OwnConnectionPlaces(this.#partOf(most), this.#partOf(mostWaiting))
  }

  #partOf(most: number): number {
    return Math.ceil(most / this.#threads)
  }
}
