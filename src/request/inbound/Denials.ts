/**
 * Calls that were denied, for the audit log: the first at once, and while it goes on a batch a second, in
 * which the same are counted together. Bounded: what is too much to tell apart is counted by service.
 */
import type { Caller } from "../../model/Caller.ts"
import type { Call } from "../../model/Exchange.ts"
import type { Ticker } from "../../model/Time.ts"
import type { Timer } from "../../model/TimerWheel.ts"

export interface Denial {
  /** Undefined: several. */
  readonly caller: Caller | undefined
  /** The node that it came from; undefined: several. */
  readonly host: string | undefined
  /** Undefined: several. */
  readonly service: string | undefined
  /** The rule; `unmatched`, `ambiguous`, `default` or `identity` without one. */
  readonly rule: string
  /** As the last of them was answered. */
  readonly message: string
  readonly count: number
}

export interface DenialsOptions {
  readonly ticker: Ticker
  /** The node that a call came from. */
  readonly hostOf: (call: Call) => string
  readonly post: (denials: ReadonlyArray<Denial>) => void
}

const every = 1_000
/** That are told apart in a batch. */
const maxKinds = 256

export class Denials {
  readonly #options: DenialsOptions
  #waiting = new Map<string, Denial & { message: string; count: number }>()
  #timer: Timer | undefined

  constructor(options: DenialsOptions) {
    this.#options = options
  }

  /** `message`: what the caller is told. */
  note(call: Call, rule: string, message: string): void {
    const { identity, service } = call
    const host = this.#options.hostOf(call)
    const key = JSON.stringify([identity, host, service, rule])
    const known = this.#waiting.get(key)
    if (known !== undefined) {
      known.message = message
      known.count++
    } else if (this.#waiting.size < maxKinds) {
      this.#waiting.set(key, { caller: identity, host, service, rule, message, count: 1 })
    } else this.#rest(message)
    if (this.#timer === undefined) this.#tell()
  }

  stop(): void {
    this.#timer?.cancel()
    this.#tell()
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #rest(message: string): void {
    const known = this.#waiting.get("")
    if (known !== undefined) known.count++
    else {
      const several = { caller: undefined, host: undefined, service: undefined }
      this.#waiting.set("", { ...several, rule: "several", message, count: 1 })
    }
  }

  readonly #tell = (): void => {
    this.#timer = undefined
    if (this.#waiting.size === 0) return
    this.#options.post(Array.from(this.#waiting.values()))
    this.#waiting = new Map()
    this.#timer = this.#options.ticker.after(every, this.#tell)
  }
}
