/**
 * The time for all of a call: the policy's, or what the caller has left of its own, whichever ends
 * sooner. Attempts and the waits between them have to be over by then, and the next hop is told what
 * is left. Tunnels have none.
 */
import type { Fault } from "../../model/Fault.ts"
import type { CallInFlight, CallStep, PassedLimit } from "./CallStep.ts"
import { upstreamTimeout } from "./OutboundFaults.ts"

const never = Number.POSITIVE_INFINITY

export class TotalTimeout implements CallStep {
  readonly #limit: number | undefined

  /** Milliseconds; undefined: the caller's own deadline alone. */
  constructor(limit: number | undefined) {
    this.#limit = limit
  }

  begin(call: CallInFlight, now: number): Fault | undefined {
    if (this.#limit === undefined && call.call.deadline === undefined) return undefined
    return this.#begin(call, now)
  }

  #begin(call: CallInFlight, now: number): Fault | undefined {
    const total = this.#total(call)
    if (total === never) return undefined
    call.deadline = now + total
    if (total > 0) {
      call.after(total, this)
      return undefined
    }
    // It came too late to be sent at all.
    const { node } = call
    const attempts = { attempts: 0, last: undefined, sent: false }
    return upstreamTimeout(node, call.call.service, this.#passed(call, "nobody"), attempts)
  }

  due(call: CallInFlight, now: number): void {
    const late = call.awaitsCaller ? "client" : this.#hasty(call, now) ? "nobody" : "endpoint"
    call.limitPassed(this.#passed(call, late))
  }

  /** The endpoint's node holds the same limit, and may notice first that it has passed. */
  excuses(call: CallInFlight, { code }: Fault, now: number): boolean {
    return code === "upstream_timeout" && this.#hasty(call, now)
  }

  tunnelled(call: CallInFlight): void {
    call.cancelDue(this)
  }

  #total({ call }: CallInFlight): number {
    return call.kind === "tcp" ? never : Math.min(this.#limit ?? never, call.deadline ?? never)
  }

  #isOwn({ call }: CallInFlight): boolean {
    return (this.#limit ?? never) <= (call.deadline ?? never)
  }

  /** That the total has passed, as far as it has, says nothing of the endpoint. */
  #hasty(call: CallInFlight, now: number): boolean {
    if (!this.#isOwn(call)) return true
    if (call.committed) return call.callerPaused
    // Whoever was waited for during less than half of the time did not use up the time.
    const total = this.#total(call)
    return total !== never && call.endpointsTime(now) * 2 < total
  }

  #passed(call: CallInFlight, late: PassedLimit["late"]): PassedLimit {
    const limit = this.#isOwn(call) ? "timeout.request" : "the caller's deadline"
    return { what: "finish", limit, millis: this.#total(call), late }
  }
}
