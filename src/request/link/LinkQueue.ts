/**
 * Calls that wait for a link to one peer, in the order in which they came, and how long each of them does. At
 * the limit of those that wait the next is refused, unless one waits longer than it was to.
 */
import { contain } from "../../model/Defect.ts"
import type { Call, Dispatch, RequestStream, ResponseReceiver } from "../../model/Exchange.ts"
import type { Fault, FaultCode } from "../../model/Fault.ts"
import type { PeerLinkContext } from "./PeerLinkContext.ts"
import { WaitingExchange } from "./WaitingExchange.ts"

export interface LinkQueueOptions {
  readonly context: PeerLinkContext
  /** What people call the peer. */
  readonly name: () => string
  readonly fault: (call: Call, code: FaultCode, message: string) => Fault
  /** One has waited as long as it was to: who comes next need not. */
  readonly onLate: (cause: Error) => void
}

/** Where callers throw. */
const waitingFor = "a call that waited for a link"

export class LinkQueue {
  readonly #options: LinkQueueOptions
  readonly #waiting = new Set<WaitingExchange>()
  /** Those of them that wait longer than they were to, in the order in which that began. */
  readonly #late = new Set<WaitingExchange>()

  constructor(options: LinkQueueOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#waiting.size
  }

  /** Undefined: as many wait as may. */
  add(call: Call, receiver: ResponseReceiver): RequestStream | undefined {
    const { limits, ticker } = this.#options.context
    if (this.#waiting.size >= limits.waiting) this.#makeRoom()
    // Who had to leave may have come back at once.
    if (this.#waiting.size >= limits.waiting) return undefined
    const exchange = new WaitingExchange(call, ticker.now(), receiver, () => this.#remove(exchange))
    this.#waiting.add(exchange)
    this.#waitFor(exchange)
    return exchange
  }

  /** There is a link: each goes on there. */
  begin(dispatch: Dispatch): void {
    const { linkOptions, ticker } = this.#options.context
    for (const exchange of this.#takeAll()) {
      contain(linkOptions.onDefect, waitingFor, () =>
        exchange.begin(dispatch, ticker.now(), (call, error) => this.#defect(call, error))
      )
    }
  }

  /** There will be none. */
  fail(fault: (call: Call) => Fault): void {
    const { onDefect } = this.#options.context.linkOptions
    for (const exchange of this.#takeAll()) {
      contain(onDefect, waitingFor, () => exchange.fail(fault(exchange.call)))
    }
  }

  #takeAll(): ReadonlyArray<WaitingExchange> {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    this.#late.clear()
    return waiting
  }

  /**
   * Whoever has waited so long goes elsewhere, now and from now on. Who cannot waits for as long as the
   * attempt goes on, as with gRPC, and looks again from time to time: a node that has just been started
   * is late, and not away.
   */
  #waitFor(exchange: WaitingExchange): void {
    const { limits, linkOptions, ticker } = this.#options.context
    const patience = exchange.call.connectTimeout ?? limits.connectTimeout
    exchange.timer = ticker.after(patience, () => {
      const fault = this.#lateFault(
        exchange,
        exchange.isLate ? ticker.now() - exchange.since : patience
      )
      // Who comes next need not wait as long for nothing.
      this.#options.onLate(new Error(fault.message))
      contain(linkOptions.onDefect, waitingFor, () => {
        if (!exchange.goesOn(fault)) {
          this.#giveUp(exchange, fault)
          return
        }
        this.#late.add(exchange)
        this.#waitFor(exchange)
      })
    })
  }

  /** The one that has waited longest beyond its time leaves, if there is one. */
  #makeRoom(): void {
    const { linkOptions, ticker } = this.#options.context
    const [longest] = this.#late
    if (longest === undefined) return
    const fault = this.#lateFault(longest, ticker.now() - longest.since)
    contain(linkOptions.onDefect, waitingFor, () => this.#giveUp(longest, fault))
  }

  #giveUp(exchange: WaitingExchange, fault: Fault): void {
    this.#remove(exchange)
    exchange.fail(fault)
  }

  #remove(exchange: WaitingExchange): void {
    this.#waiting.delete(exchange)
    this.#late.delete(exchange)
  }

  #lateFault({ call }: WaitingExchange, waited: number): Fault {
    const { fault, name } = this.#options
    const message = `no link to the node ${name()} within ${Math.round(waited)} ms`
    return fault(call, "upstream_connect", message)
  }

  #defect(call: Call, error: unknown): Fault {
    const { context, fault, name } = this.#options
    context.linkOptions.onDefect(error, waitingFor)
    const message = `the node ${context.node} failed inside as the call to ${name()} began`
    return fault(call, "upstream_reset", message)
  }
}
