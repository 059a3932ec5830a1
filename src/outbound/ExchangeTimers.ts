/**
 * The time limits of one exchange. Only those the policy has are ever set. The idle limit is one
 * timer that looks, when it fires, how long ago the last byte was: a byte costs one assignment.
 */
import type { Ticker } from "../model/Time.ts"
import type { Timer } from "../model/TimerWheel.ts"

export interface TimeoutOwner {
  totalTimeout(): void
  perTryTimeout(): void
  idleTimeout(): void
}

export class ExchangeTimers {
  readonly #ticker: Ticker
  readonly #owner: TimeoutOwner
  #idleLimit: number
  #lastActivity: number
  #idle: Timer
  #total: Timer | undefined = undefined
  #perTry: Timer | undefined = undefined
  #backoff: Timer | undefined = undefined

  constructor(ticker: Ticker, owner: TimeoutOwner, idleLimit: number, now: number) {
    this.#ticker = ticker
    this.#owner = owner
    this.#idleLimit = idleLimit
    this.#lastActivity = now
    this.#idle = this.#watchIdle(idleLimit)
  }

  /** A byte moved. */
  active(now: number): void {
    this.#lastActivity = now
  }

  total(delay: number): void {
    this.#total = this.#ticker.after(delay, () => this.#owner.totalTimeout())
  }

  /** From now; once it runs it is not begun again. */
  perTry(delay: number): void {
    this.#perTry ??= this.#ticker.after(delay, () => {
      this.#perTry = undefined
      this.#owner.perTryTimeout()
    })
  }

  /** The response head is here, or the attempt is over. */
  endPerTry(): void {
    this.#perTry?.cancel()
    this.#perTry = undefined
  }

  backoff(delay: number, then: () => void): void {
    this.#backoff = this.#ticker.after(delay, then)
  }

  /** It is a tunnel from now on: no limit but this one. */
  tunnel(idleLimit: number): void {
    this.#total?.cancel()
    this.#total = undefined
    this.endPerTry()
    this.#idleLimit = idleLimit
    this.#idle.cancel()
    this.#idle = this.#watchIdle(idleLimit)
  }

  cancel(): void {
    this.#total?.cancel()
    this.#perTry?.cancel()
    this.#backoff?.cancel()
    this.#idle.cancel()
  }

  #watchIdle(delay: number): Timer {
    return this.#ticker.after(delay, () => {
      const left = this.#lastActivity + this.#idleLimit - this.#ticker.now()
      if (left > 0) this.#idle = this.#watchIdle(left)
      else this.#owner.idleTimeout()
    })
  }
}
