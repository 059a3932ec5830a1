/** What an endpoint gives for a call: the contract of Exchange.ts and one thing more. */
import type { Call, Fields, RequestStream, ResponseReceiver } from "../../model/Exchange.ts"

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
