/**
 * The time of one attempt, from when its endpoint's side has been given all of the request (until
 * then it may be the caller that is waited for) until the head of its response. A wait for a link to the
 * endpoint's node is given as long, and the time begins anew with the link. Tunnels have none.
 */
import type { CallInFlight, CallStep } from "./CallStep.ts"

export class TryTimeout implements CallStep {
  /** Milliseconds. */
  readonly #limit: number

  constructor(limit: number) {
    this.#limit = limit
  }

  sent(call: CallInFlight): void {
    if (call.call.kind !== "tcp") call.after(this.#limit, this)
  }

  answered(call: CallInFlight): void {
    call.cancelDue(this)
  }

  due(call: CallInFlight): void {
    const limit = "timeout.perTry"
    call.tryTimedOut({ what: "answer", limit, millis: this.#limit, late: "endpoint" })
  }
}
