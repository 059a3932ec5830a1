/**
 * The time limits of one exchange, and who was waited for when one passes: that decides what is held
 * against the endpoint. Only those limits the policy has are ever set. The idle limit is one timer
 * that looks, when it fires, how long ago the last byte was: a byte costs one assignment.
 */
import type { Call } from "../../model/Exchange.ts"
import type { Ticker } from "../../model/Time.ts"
import type { Timer } from "../../model/TimerWheel.ts"
import type { Stack } from "./Stack.ts"

export interface PassedLimit {
  /** What was not done within it: `answer`, `finish`, `move a byte`. */
  readonly what: string
  /** Its name, as it stands in the policy. */
  readonly limit: string
  readonly millis: number
  /**
   * Who was late. `nobody`: a caller in a haste of its own, one that does not read its response, and
   * whatever happens in a tunnel say nothing of the endpoint.
   */
  readonly late: "endpoint" | "client" | "nobody"
}

/** The exchange, as its limits see it. */
export interface LimitedExchange {
  /** The endpoint has all that has come of the request and takes more: the caller is waited for. */
  readonly awaitsCaller: boolean
  /** Something of a response has reached the caller. */
  readonly committed: boolean
  /** It takes no more of it for now. */
  readonly callerPaused: boolean
  limitPassed(passed: PassedLimit): void
  tryTimedOut(passed: PassedLimit): void
}

const never = Number.POSITIVE_INFINITY

export class ExchangeLimits {
  readonly #ticker: Ticker
  readonly #exchange: LimitedExchange
  readonly #stack: Stack
  /** Milliseconds for all of it: the policy's, or the caller's own if that ends sooner. */
  readonly #total: number
  readonly #ownTotal: boolean
  /** On the ticker's clock. */
  readonly deadline: number
  #tunnel: boolean
  #lastActivity: number
  /** When the attempt under way was begun, and how much of its time went by in waiting for the caller. */
  #begunAt: number
  #callersTime = 0
  /** When the caller wrote last, or could write again. */
  #callerSince: number
  #idleTimer: Timer
  #totalTimer: Timer | undefined = undefined
  #tryTimer: Timer | undefined = undefined
  #backoffTimer: Timer | undefined = undefined

  constructor(ticker: Ticker, exchange: LimitedExchange, stack: Stack, call: Call, now: number) {
    const policy = stack.totalTimeout ?? never
    const caller = call.deadline ?? never
    this.#ticker = ticker
    this.#exchange = exchange
    this.#stack = stack
    this.#tunnel = call.kind === "tcp"
    this.#ownTotal = policy <= caller
    this.#total = this.#tunnel ? never : Math.min(policy, caller)
    this.deadline = now + this.#total
    this.#lastActivity = now
    this.#begunAt = now
    this.#callerSince = now
    this.#idleTimer = this.#watchIdle(this.#idleLimit)
    if (this.#total !== never) {
      this.#totalTimer = ticker.after(Math.max(0, this.#total), () => this.#totalPassed())
    }
  }

  /** Milliseconds left of the total, for the next hop; undefined: no limit. */
  left(now: number): number | undefined {
    return this.#total === never ? undefined : Math.max(1, Math.floor(this.deadline - now))
  }

  /** The call came too late to be sent at all. */
  get expired(): boolean {
    return this.#total <= 0
  }

  /** A byte moved. */
  active(now: number): void {
    this.#lastActivity = now
  }

  /** An attempt begins. */
  begun(now: number): void {
    this.#begunAt = now
    this.#callersTime = 0
    this.#callerSince = now
  }

  /** Some of the request's body has come, and `awaited`: there was nothing else to wait for. */
  written(now: number, awaited: boolean): void {
    if (awaited) this.#callersTime += now - this.#callerSince
    this.#callerSince = now
  }

  /** The endpoint takes more. */
  drained(now: number): void {
    this.#callerSince = now
  }

  /** The request is with the endpoint: the time of the try begins, unless it runs already. */
  beginTry(): void {
    const limit = this.#stack.perTryTimeout
    if (limit === undefined || this.#tunnel) return
    this.#tryTimer ??= this.#ticker.after(limit, () => {
      this.#tryTimer = undefined
      const passed = { what: "answer", limit: "timeout.perTry", millis: limit } as const
      this.#exchange.tryTimedOut({ ...passed, late: "endpoint" })
    })
  }

  /** The response head is here, or the attempt is over. */
  endTry(): void {
    this.#tryTimer?.cancel()
    this.#tryTimer = undefined
  }

  backoff(delay: number, then: () => void): void {
    this.#backoffTimer = this.#ticker.after(delay, then)
  }

  /** It is a tunnel from now on: no limit but the tunnel's idle limit. */
  tunnel(): void {
    this.#totalTimer?.cancel()
    this.#totalTimer = undefined
    this.endTry()
    this.#tunnel = true
    this.#idleTimer.cancel()
    this.#idleTimer = this.#watchIdle(this.#idleLimit)
  }

  cancel(): void {
    this.#totalTimer?.cancel()
    this.#tryTimer?.cancel()
    this.#backoffTimer?.cancel()
    this.#idleTimer.cancel()
  }

  /** What has passed is told at once, for an exchange that has begun nothing. */
  expire(): void {
    this.#totalPassed()
  }

  get #idleLimit(): number {
    return this.#tunnel ? this.#stack.tunnelIdleTimeout : this.#stack.idleTimeout
  }

  #totalPassed(): void {
    const { awaitsCaller } = this.#exchange
    this.#exchange.limitPassed({
      what: "finish",
      limit: this.#ownTotal ? "timeout.request" : "the caller's deadline",
      millis: this.#total,
      late: awaitsCaller ? "client" : this.hasty(this.#ticker.now()) ? "nobody" : "endpoint"
    })
  }

  /** That the total has passed, as far as it has, says nothing of the endpoint. */
  hasty(now: number): boolean {
    if (!this.#ownTotal) return true
    const { callerPaused, committed } = this.#exchange
    if (committed) return callerPaused
    // Whoever was waited for during less than half of the time did not use up the time.
    const endpoints = now - this.#begunAt - this.#callersTime
    return this.#total !== never && endpoints * 2 < this.#total
  }

  #idlePassed(): void {
    const { awaitsCaller, committed } = this.#exchange
    const late = awaitsCaller ? "client" : committed ? "nobody" : "endpoint"
    this.#exchange.limitPassed({
      what: "move a byte",
      limit: this.#tunnel ? "timeout.tcpIdle" : "timeout.idle",
      millis: this.#idleLimit,
      late: this.#tunnel ? "nobody" : late
    })
  }

  #watchIdle(delay: number): Timer {
    return this.#ticker.after(delay, () => {
      const left = this.#lastActivity + this.#idleLimit - this.#ticker.now()
      if (left > 0) this.#idleTimer = this.#watchIdle(left)
      else this.#idlePassed()
    })
  }
}
