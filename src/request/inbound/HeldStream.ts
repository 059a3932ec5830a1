/** A request to a program to which there is no way yet, for as long as a connection may take to make. */
import type { Call, Fields, ResponseReceiver } from "../../model/Exchange.ts"
import type { Fault } from "../../model/Fault.ts"
import { WaitingExchange } from "../link/WaitingExchange.ts"
import type { EndpointStream, EndpointTransport } from "./EndpointStream.ts"

/** A request that waits, and then is one of the transport's. */
export class HeldStream implements EndpointStream {
  readonly waiting: WaitingExchange
  readonly #fields: Fields
  #stream: EndpointStream | undefined = undefined

  constructor(
    call: Call,
    since: number,
    fields: Fields,
    receiver: ResponseReceiver,
    onOver: () => void
  ) {
    this.#fields = fields
    this.waiting = new WaitingExchange(call, since, receiver, onOver)
  }

  get sent(): boolean {
    return this.#stream?.sent ?? false
  }

  begin(transport: EndpointTransport, now: number, failed: (error: unknown) => Fault): void {
    this.waiting.begin(
      (call, receiver) => {
        this.#stream = transport.open(call, this.#fields, receiver)
        return this.#stream
      },
      now,
      (_, error) => failed(error)
    )
  }

  write(chunk: Uint8Array): boolean {
    return this.waiting.write(chunk)
  }

  end(trailers: Fields): void {
    this.waiting.end(trailers)
  }

  cancel(fault: Fault): void {
    this.waiting.cancel(fault)
  }

  resume(): void {
    this.waiting.resume()
  }
}
