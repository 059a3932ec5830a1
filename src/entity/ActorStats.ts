/** What is counted of the actors of one type on this host. */
import { Histogram, latencyBounds } from "../request/cells/Cells.ts"

export class ActorStats {
  /** Messages that were handled, and those of them that failed or died. */
  messages = 0
  failures = 0
  crashes = 0
  lastError: { readonly text: string; readonly at: number } | undefined
  /** Milliseconds from when a message came until it was answered. */
  readonly latency = new Histogram(latencyBounds)

  handled(millis: number, isSuccess: boolean): void {
    this.messages++
    if (!isSuccess) this.failures++
    this.latency.record(millis)
  }

  crashed(text: string, at: number): void {
    this.crashes++
    this.lastError = { text, at }
  }
}
