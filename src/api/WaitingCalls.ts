/** Calls of a program that wait for a node: as long as they may, and no more than so many. */
import { contain, type OnDefect } from "../model/Defect.ts"
import type { Call, Dispatch, RequestStream, ResponseReceiver } from "../model/Exchange.ts"
import type { Fault, FaultCode } from "../model/Fault.ts"
import { refuse } from "../model/RefusedExchange.ts"
import type { Ticker } from "../model/Time.ts"
import { WaitingExchange } from "../request/link/WaitingExchange.ts"

/** At most. */
const maxWaiting = 2_048

/** Where one throws. */
const where = "a call that waited for a node"

export interface WaitingCallsOptions {
  readonly ticker: Ticker
  readonly onDefect: OnDefect
  /** How long a call waits at most, ms; less when its deadline is nearer. */
  readonly patience: number
  /** Name of the node there was last. */
  readonly node: () => string
  /** Why there is none, for people. */
  readonly reason: () => string
}

export class WaitingCalls {
  readonly #options: WaitingCallsOptions
  readonly #waiting = new Set<WaitingExchange>()
  /** Why none may wait any more. */
  #ended: string | undefined = undefined

  constructor(options: WaitingCallsOptions) {
    this.#options = options
  }

  wait(call: Call, receiver: ResponseReceiver): RequestStream {
    const { onDefect, patience, ticker } = this.#options
    if (this.#ended !== undefined) {
      return refuse(receiver, this.#fault(call, "draining", this.#ended), onDefect)
    }
    if (this.#waiting.size >= maxWaiting) {
      const message = `${maxWaiting} calls wait for the node of this host, which is the limit`
      return refuse(receiver, this.#fault(call, "overflow", message), onDefect)
    }
    const exchange = new WaitingExchange(call, ticker.now(), receiver, () =>
      this.#waiting.delete(exchange)
    )
    this.#waiting.add(exchange)
    exchange.timer = ticker.after(Math.min(call.deadline ?? patience, patience), () => {
      this.#waiting.delete(exchange)
      exchange.fail(this.#fault(call, "no_healthy_endpoint", this.#options.reason()))
    })
    return exchange
  }

  /** They go on their way. */
  release(open: Dispatch): void {
    const { onDefect, ticker } = this.#options
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const exchange of waiting) {
      contain(onDefect, where, () =>
        exchange.begin(open, ticker.now(), (call, error) => {
          onDefect(error, where)
          return this.#fault(call, "upstream_reset", "the program failed inside as its call began")
        })
      )
    }
  }

  /** All fail, and so do those that come. */
  end(reason: string): void {
    this.#ended = reason
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const exchange of waiting) exchange.fail(this.#fault(exchange.call, "draining", reason))
  }

  #fault({ service }: Call, code: FaultCode, message: string): Fault {
    return { code, message, node: this.#options.node(), service, sent: false }
  }
}
