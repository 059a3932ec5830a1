/** A call that nobody can carry: its fault follows in a microtask. */
import type { RequestStream, ResponseReceiver } from "../../model/Exchange.ts"
import type { Fault } from "../../model/Fault.ts"
import type { ExchangeObservation } from "../../model/Observer.ts"
import type { OnDefect } from "./StepService.ts"

export class Refusal implements RequestStream {
  #receiver: ResponseReceiver | undefined
  readonly #observation: ExchangeObservation
  readonly #onDefect: OnDefect
  #received = 0

  constructor(
    fault: Fault,
    receiver: ResponseReceiver,
    observation: ExchangeObservation,
    onDefect: OnDefect
  ) {
    this.#receiver = receiver
    this.#observation = observation
    this.#onDefect = onDefect
    queueMicrotask(() => this.#contained(fault, () => this.#end(fault)?.onFault(fault)))
  }

  write(chunk: Uint8Array): boolean {
    this.#received += chunk.length
    return true
  }

  end(): void {}

  resume(): void {}

  cancel(fault: Fault): void {
    this.#end(fault)
  }

  #end(fault: Fault): ResponseReceiver | undefined {
    const receiver = this.#receiver
    if (receiver !== undefined) {
      this.#receiver = undefined
      const { code, message } = fault
      const outcome = { kind: "fault", code, message } as const
      this.#contained(fault, () => this.#observation.end(outcome, this.#received, 0))
    }
    return receiver
  }

  #contained({ service }: Fault, what: () => void): void {
    try {
      what()
    } catch (error) {
      this.#onDefect(error, `a call to ${service ?? "no service"}`)
    }
  }
}
