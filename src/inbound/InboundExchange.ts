/**
 * One call on its way through the endpoint's node: stands between caller and endpoint, counts what
 * passes, holds the deadline, and records the end exactly once.
 */
import type {
  Call,
  Fields,
  RequestStream,
  ResponseHead,
  ResponseReceiver
} from "../model/Exchange.ts"
import type { Fault } from "../model/Fault.ts"
import type { ExchangeObservation, Outcome } from "../model/Observer.ts"
import type { Ticker } from "../model/Time.ts"
import type { Timer } from "../model/TimerWheel.ts"
import type { EndpointStream, EndpointTransport } from "./EndpointStream.ts"

export interface InboundExchangeOptions {
  readonly call: Call
  readonly receiver: ResponseReceiver
  readonly observation: ExchangeObservation
  readonly transport: EndpointTransport
  readonly ticker: Ticker
  /** Name of this node, for faults. */
  readonly node: string
  /** Called once, when the exchange is over. */
  readonly onOver: () => void
}

export class InboundExchange implements ResponseReceiver, RequestStream {
  readonly #options: InboundExchangeOptions
  #receiver: ResponseReceiver | undefined
  readonly #upstream: EndpointStream
  readonly #deadline: Timer | undefined
  #status = 0
  #bytesIn = 0
  #bytesOut = 0

  constructor(options: InboundExchangeOptions) {
    const { call, ticker } = options
    this.#options = options
    this.#receiver = options.receiver
    this.#deadline =
      call.deadline === undefined ? undefined : ticker.after(call.deadline, () => this.#expire())
    // Rule 1: the endpoint calls this object only after the constructor has returned.
    this.#upstream = options.transport.open(call, options.observation.forwardFields, this)
  }

  write(chunk: Uint8Array): boolean {
    if (this.#receiver === undefined) return true
    this.#bytesIn += chunk.length
    return this.#upstream.write(chunk)
  }

  end(trailers: Fields): void {
    if (this.#receiver !== undefined) this.#upstream.end(trailers)
  }

  cancel(fault: Fault): void {
    if (this.#receiver === undefined) return
    this.#finish({ kind: "fault", code: fault.code, message: fault.message })
    this.#upstream.cancel(fault)
  }

  resume(): void {
    if (this.#receiver !== undefined) this.#upstream.resume()
  }

  onInfo(head: ResponseHead): void {
    this.#receiver?.onInfo(head)
  }

  onHead(head: ResponseHead): void {
    this.#status = head.status
    // A tunnel follows. The total timeout ends here, as it does at the caller's node.
    if (head.status === 101) this.#deadline?.cancel()
    this.#options.observation.responded(head.status)
    this.#receiver?.onHead(head)
  }

  onData(chunk: Uint8Array): boolean {
    this.#bytesOut += chunk.length
    return this.#receiver?.onData(chunk) ?? true
  }

  onEnd(trailers: Fields): void {
    this.#finish({ kind: "complete", status: this.#status })?.onEnd(trailers)
  }

  onFault(fault: Fault): void {
    this.#finish({ kind: "fault", code: fault.code, message: fault.message })?.onFault(fault)
  }

  onWritable(): void {
    this.#receiver?.onWritable()
  }

  #expire(): void {
    const { call, node } = this.#options
    const fault: Fault = {
      code: "upstream_timeout",
      message: `no ${this.#status === 0 ? "response" : "end of the response"} from ${call.service} within the ${Math.round(call.deadline ?? 0)} ms that were left of the total timeout`,
      node,
      service: call.service,
      sent: this.#upstream.sent
    }
    const receiver = this.#finish({ kind: "fault", code: fault.code, message: fault.message })
    if (receiver === undefined) return
    this.#upstream.cancel(fault)
    receiver.onFault(fault)
  }

  /** Everything that must happen once. Gives the receiver that may be called one last time. */
  #finish(outcome: Outcome): ResponseReceiver | undefined {
    const receiver = this.#receiver
    if (receiver === undefined) return undefined
    this.#receiver = undefined
    this.#deadline?.cancel()
    this.#options.observation.end(outcome, this.#bytesIn, this.#bytesOut)
    this.#options.onOver()
    return receiver
  }
}
