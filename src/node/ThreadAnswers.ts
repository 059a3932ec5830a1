/** Who waits for what a request thread says, so that the mesh thread never waits for one that is gone. */
import type { Ticker } from "../model/Time.ts"
import type { FromPlane } from "../request/PlaneMessages.ts"

type Waiting = (message: FromPlane | undefined) => void

export class ThreadAnswers {
  readonly #ticker: Pick<Ticker, "after">
  /** `index what id`. */
  readonly #waiting = new Map<string, Set<Waiting>>()

  constructor(ticker: Pick<Ticker, "after">) {
    this.#ticker = ticker
  }

  /** Undefined: it did not come within `patience` ms, or the thread is gone. */
  of(
    index: number,
    what: FromPlane["type"],
    id: number,
    patience: number
  ): Promise<FromPlane | undefined> {
    return new Promise((resolve) => {
      const key = keyOf(index, what, id)
      const timer = Number.isFinite(patience)
        ? this.#ticker.after(patience, () => wake(undefined))
        : undefined
      const waiting = this.#waiting.get(key) ?? new Set()
      this.#waiting.set(key, waiting)
      const wake: Waiting = (message) => {
        timer?.cancel()
        waiting.delete(wake)
        if (waiting.size === 0 && this.#waiting.get(key) === waiting) this.#waiting.delete(key)
        resolve(message)
      }
      // Who asked the same before gets the same answer.
      waiting.add(wake)
    })
  }

  /** `what` is what it answers, where the message is called otherwise. False: nobody waits for it. */
  receive(index: number, message: FromPlane, id: number, what = message.type): boolean {
    return this.#wake(keyOf(index, what, id), message)
  }

  /** A thread is gone: nobody waits for it any more. */
  forget(index: number): void {
    for (const key of [...this.#waiting.keys()]) {
      if (key.startsWith(`${index} `)) this.#wake(key, undefined)
    }
  }

  #wake(key: string, message: FromPlane | undefined): boolean {
    const waiting = this.#waiting.get(key)
    this.#waiting.delete(key)
    for (const wake of waiting ?? []) wake(message)
    return waiting !== undefined
  }
}

const keyOf = (index: number, what: string, id: number): string => `${index} ${what} ${id}`
