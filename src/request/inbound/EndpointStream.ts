/** What an endpoint gives for a call: the contract of Exchange.ts and one thing more. */
import type { Call, Fields, RequestStream, ResponseReceiver } from "../../model/Exchange.ts"
import type { Fault } from "../../model/Fault.ts"

export interface EndpointStream extends RequestStream {
  /** A byte of the request may have reached the program. */
  readonly sent: boolean
}

/** One way to reach a program: a pool of HTTP connections, or TCP tunnels. */
export interface EndpointTransport {
  /** `fields` are forwarded in place of those of `call.head`. */
  open(call: Call, fields: Fields, receiver: ResponseReceiver): EndpointStream
  /** Takes nothing new; what runs finishes, then everything is closed. */
  retire(): void
  /** Connections to the program, those being made included. */
  readonly connections: number
  /** Requests that wait for a connection. */
  readonly waiting: number
}

/** For a call that fails at once: the fault comes in a microtask, unless cancelled before. */
export class RefusedStream implements EndpointStream {
  readonly sent = false
  #receiver: ResponseReceiver | undefined

  constructor(fault: Fault, receiver: ResponseReceiver) {
    this.#receiver = receiver
    queueMicrotask(() => {
      const waiting = this.#receiver
      this.#receiver = undefined
      waiting?.onFault(fault)
    })
  }

  write(): boolean {
    return true
  }
  end(): void {}
  cancel(): void {
    this.#receiver = undefined
  }
  resume(): void {}
}
