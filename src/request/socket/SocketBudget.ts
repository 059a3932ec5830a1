/**
 * How many sockets of programs a node may have open: each is a descriptor, and a process gets so
 * many. Two lanes share them: connections of clients, and connections to the programs this host
 * offers. Each may take what the other leaves, but of every four one is kept for the other: clients
 * that hold all there is could not be served, and programs without a client have nothing to do.
 *
 * Apart from the budget, out of what is kept for the node itself, a few are lent for so long as it
 * takes to tell a client that there is no room.
 */

/** Who waits for room. */
export interface Waiter {
  /** There may be room: takes it, or not. */
  onRoom(): void
}

/** Who keeps sockets that nobody uses at the moment. */
export interface Keeper {
  /** Closes one of them now, and gives it back; false when there is none. */
  closeOneIdle(): boolean
}

/** One of so many is kept for the other lane. */
const part = 4

/** More than a process can have. */
const unlimited = 2 ** 31

export class SocketBudget {
  readonly clients: SocketLane
  readonly programs: SocketLane
  #total: number
  /** Not lent at the moment. */
  #spare: number
  /** With those that are. */
  #spares: number

  /** `spare`: how many clients are told at a time that there is no room. */
  constructor(total: number = unlimited, spare = 64) {
    this.#total = total
    this.#spare = spare
    this.#spares = spare
    this.clients = new SocketLane(this)
    this.programs = new SocketLane(this)
  }

  get total(): number {
    return this.#total
  }

  get held(): number {
    return this.clients.held + this.programs.held
  }

  /** What is open stays open, also above the new numbers. */
  resize(total: number, spare?: number): void {
    this.#total = total
    if (spare !== undefined) {
      this.#spare += spare - this.#spares
      this.#spares = spare
    }
    this.wake()
  }

  otherThan(lane: SocketLane): SocketLane {
    return lane === this.clients ? this.programs : this.clients
  }

  /** The most a lane can have when the other has only what is kept for it. */
  mostOf(lane: SocketLane): number {
    return this.otherThan(lane).used
      ? this.#total - Math.max(1, Math.floor(this.#total / part))
      : this.#total
  }

  hasRoom(lane: SocketLane): boolean {
    return this.held < this.#total && lane.held < this.mostOf(lane)
  }

  borrow(): boolean {
    if (this.#spare <= 0) return false
    this.#spare--
    return true
  }

  giveBack(): void {
    this.#spare++
  }

  /** After something was given back. */
  wake(): void {
    this.programs.wake()
    this.clients.wake()
  }
}

export class SocketLane {
  readonly #budget: SocketBudget
  readonly #waiters = new Set<Waiter>()
  readonly #keepers = new Set<Keeper>()
  /** Nothing is kept for a lane that is not used. */
  used = true
  held = 0

  constructor(budget: SocketBudget) {
    this.#budget = budget
  }

  /** The most it can have. */
  get most(): number {
    return this.#budget.mostOf(this)
  }

  /** False: there is no room, not even when somebody closes what is idle. */
  take(): boolean {
    while (!this.#budget.hasRoom(this)) if (!this.#makeRoom()) return false
    this.held++
    return true
  }

  /** Whether there is room or not: to do once more what had room before. */
  takeAnyway(): void {
    this.held++
  }

  give(): void {
    this.held--
    this.#budget.wake()
  }

  /** Another one waits, and who has `held` of them has more than an even share. */
  owes(keeper: Keeper & Waiter, held: number): boolean {
    if (this.#waiters.size === 0) return false // as after nearly every request
    const others = this.#waiters.size - (this.#waiters.has(keeper) ? 1 : 0)
    return others > 0 && held * this.#keepers.size > this.held
  }

  /** For a moment, and only to say that there is no room. */
  borrow(): boolean {
    return this.#budget.borrow()
  }

  giveBack(): void {
    this.#budget.giveBack()
  }

  /** Is told when there may be room, until it says that it waits no more. In turns. */
  wait(waiter: Waiter): void {
    this.#waiters.add(waiter)
  }

  /** True when it did wait. */
  waitNoMore(waiter: Waiter): boolean {
    return this.#waiters.delete(waiter)
  }

  keep(keeper: Keeper): void {
    this.#keepers.add(keeper)
  }

  keepNoMore(keeper: Keeper): void {
    this.#keepers.delete(keeper)
  }

  wake(): void {
    if (this.#waiters.size === 0) return
    for (const waiter of [...this.#waiters]) {
      if (!this.#budget.hasRoom(this)) return
      // It comes last if it waits again.
      this.#waiters.delete(waiter)
      waiter.onRoom()
    }
  }

  /** Of its own first; of the other's it helps only where this lane is not at its own limit. */
  #makeRoom(): boolean {
    return (
      this.closeOneIdle() || (this.held < this.most && this.#budget.otherThan(this).closeOneIdle())
    )
  }

  closeOneIdle(): boolean {
    for (const keeper of this.#keepers) if (keeper.closeOneIdle()) return true
    return false
  }
}

/** For one that is limited by nothing: tests, and whatever is not a whole node. */
export const unlimitedSockets = (): SocketLane => new SocketBudget().clients
