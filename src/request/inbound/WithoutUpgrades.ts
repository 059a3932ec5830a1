/**
 * Calls to a program that takes up no other protocol. What follows the head that asks for one is for
 * that protocol, and the program would wait for the end of a body that has none: so nothing follows.
 */
import { type Dispatch, noFields, type RequestStream } from "../../model/Exchange.ts"
import type { Fault } from "../../model/Fault.ts"

export const withoutUpgrades =
  (dispatch: Dispatch): Dispatch =>
  (call, receiver) => {
    const stream = dispatch(call, receiver)
    const { head } = call
    if (head?.upgrade === undefined || head.framing.kind !== "none") return stream
    stream.end(noFields)
    return new EndedStream(stream)
  }

class EndedStream implements RequestStream {
  readonly #stream: RequestStream

  constructor(stream: RequestStream) {
    this.#stream = stream
  }

  write(): boolean {
    return true
  }

  end(): void {}

  cancel(fault: Fault): void {
    this.#stream.cancel(fault)
  }

  resume(): void {
    this.#stream.resume()
  }
}
