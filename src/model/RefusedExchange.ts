/** An exchange that was over before it began: the fault follows in a microtask (rule 1). */
import type { OnDefect } from "./Defect.ts"
import type { RequestStream, ResponseReceiver } from "./Exchange.ts"
import type { Fault } from "./Fault.ts"

/** Told once, as soon as it is over: by the fault, or by the one the caller cancelled with. */
export type RefusalOver = (fault: Fault, received: number) => void

const where = "the receiver of a refused exchange"

export class RefusedExchange implements RequestStream {
  /** As an endpoint's stream: no byte has reached the program. */
  readonly sent = false
  #receiver: ResponseReceiver | undefined
  readonly #onDefect: OnDefect | undefined
  readonly #onOver: RefusalOver | undefined
  #received = 0

  constructor(
    receiver: ResponseReceiver,
    fault: Fault,
    onDefect: OnDefect | undefined,
    onOver: RefusalOver | undefined
  ) {
    this.#receiver = receiver
    this.#onDefect = onDefect
    this.#onOver = onOver
    queueMicrotask(() => {
      const waiting = this.#end(fault)
      try {
        waiting?.onFault(fault)
      } catch (error) {
        this.#defect(error)
      }
    })
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
    if (receiver === undefined) return undefined
    this.#receiver = undefined
    try {
      this.#onOver?.(fault, this.#received)
    } catch (error) {
      this.#defect(error)
    }
    return receiver
  }

  #defect(error: unknown): void {
    if (this.#onDefect === undefined) throw error
    this.#onDefect(error, where)
  }
}

/** `onDefect`: hears when the receiver, or `onOver`, throws. Unset: it is thrown from the microtask. */
export const refuse = (
  receiver: ResponseReceiver,
  fault: Fault,
  onDefect?: OnDefect | undefined,
  onOver?: RefusalOver | undefined
): RefusedExchange => new RefusedExchange(receiver, fault, onDefect, onOver)
