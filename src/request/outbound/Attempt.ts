/**
 * One attempt of a call at one endpoint: the receiver its response comes to, and its account with
 * the endpoint and its guards. Settled at most once, released exactly once; after it is closed
 * nothing it is told reaches the call. What throws behind it ends its call, and goes no further.
 */
import type { Fields, RequestStream, ResponseHead, ResponseReceiver } from "../../model/Exchange.ts"
import type { Fault } from "../../model/Fault.ts"
import { isBrokenOff, type Verdict } from "../policy/Classifier.ts"
import type { EndpointGuards } from "./EndpointGuards.ts"
import type { EndpointState } from "./EndpointState.ts"
import type { Abandonment, GuardedAttempt } from "./EndpointStep.ts"

/** The call, as its attempts see it. */
export interface AttemptOwner {
  attemptInfo(head: ResponseHead): void
  attemptHead(attempt: Attempt, head: ResponseHead): void
  attemptData(chunk: Uint8Array): boolean
  attemptEnd(trailers: Fields): void
  attemptFault(attempt: Attempt, fault: Fault): void
  attemptWritable(): void
  /** See ResponseReceiver.onLate. */
  attemptLate(attempt: Attempt, fault: Fault): boolean
  /** See ResponseReceiver.onLinked. */
  attemptLinked(attempt: Attempt): void
  /** The attempt has its verdict. */
  attemptSettled(endpoint: EndpointState, verdict: Verdict): void
  event(name: string): void
  /** Something threw that had no right to; with the call it is over. */
  broke(error: unknown): void
  /** The same, where nothing but the report is left to do. */
  defect(error: unknown): void
}

export class Attempt implements ResponseReceiver, GuardedAttempt {
  readonly endpoint: EndpointState
  /** When it was begun, or when there was a link at last, if it had to wait for one. */
  startedAt: number
  /** Set as soon as the endpoint's dispatch has returned, which is before any response. */
  stream: RequestStream | undefined = undefined
  slots: Array<unknown> | undefined = undefined
  probing = false
  answer: Verdict | undefined = undefined
  /** It is late with a link, and no other attempt may follow it: nobody is asked again whether one may. */
  stays = false
  /** Undefined once one of them has refused it. */
  #guards: EndpointGuards | undefined
  #owner: AttemptOwner | undefined
  #settled = false

  constructor(owner: AttemptOwner, endpoint: EndpointState, now: number) {
    this.#owner = owner
    this.endpoint = endpoint
    this.startedAt = now
    this.#guards = endpoint.guards
    endpoint.inFlight++
    endpoint.cells.inFlight.add(1)
  }

  /** It waits for a link to the endpoint's node: nothing has left. */
  get unlinked(): boolean {
    return this.stream?.unlinked === true
  }

  /** Before it is sent. A fault: a guard of the endpoint refuses it. */
  admit(now: number): Fault | undefined {
    const fault = this.#guards?.admit(this, now)
    if (fault === undefined) return undefined
    // Those that had let it through know; what comes of it is no business of the endpoint's.
    this.#settled = true
    this.#guards = undefined
    return fault
  }

  /** The response head is here. How the response will end is not known yet. */
  answered(verdict: Verdict, now: number): void {
    this.endpoint.cells.latency.record(now - this.startedAt)
    this.#guards?.answered(this, verdict, now)
    this.answer = verdict
  }

  /** Its one verdict; later ones are ignored. */
  settle(verdict: Verdict, now: number): void {
    if (this.#settled) return
    this.#settled = true
    this.#owner?.attemptSettled(this.endpoint, verdict)
    // That there is no link is one event, however many calls it ends, and is seen to already: the peer
    // is down. A crash of one thread of that node must not close the endpoint to all threads of ours.
    if (isBrokenOff(verdict) && (this.endpoint.peer.down || this.unlinked)) {
      this.#guards?.abandoned(this, now, "link_lost")
    } else this.#guards?.settled(this, verdict, now)
  }

  /** It ends without a verdict on the endpoint. */
  abandon(now: number, why: Abandonment = "unwanted"): void {
    if (this.#settled) return
    this.#settled = true
    this.#guards?.abandoned(this, now, why)
  }

  event(name: string): void {
    this.#owner?.event(name)
  }

  /** It is over. With a fault: it is cut short, and the endpoint's side is told. */
  close(fault: Fault | undefined): void {
    const owner = this.#owner
    if (owner === undefined) return
    this.#owner = undefined
    this.endpoint.inFlight--
    this.endpoint.cells.inFlight.add(-1)
    this.#guards?.closed(this)
    const stream = this.stream
    this.stream = undefined
    if (fault === undefined || stream === undefined) return
    try {
      stream.cancel(fault)
    } catch (error) {
      owner.defect(error)
    }
  }

  onInfo(head: ResponseHead): void {
    const owner = this.#owner
    if (owner === undefined) return
    try {
      owner.attemptInfo(head)
    } catch (error) {
      owner.broke(error)
    }
  }

  onHead(head: ResponseHead): void {
    const owner = this.#owner
    if (owner === undefined) return
    try {
      owner.attemptHead(this, head)
    } catch (error) {
      owner.broke(error)
    }
  }

  onData(chunk: Uint8Array): boolean {
    const owner = this.#owner
    if (owner === undefined) return true
    try {
      return owner.attemptData(chunk)
    } catch (error) {
      owner.broke(error)
      return true
    }
  }

  onEnd(trailers: Fields): void {
    const owner = this.#owner
    if (owner === undefined) return
    try {
      owner.attemptEnd(trailers)
    } catch (error) {
      owner.broke(error)
    }
  }

  onFault(fault: Fault): void {
    const owner = this.#owner
    if (owner === undefined) return
    try {
      owner.attemptFault(this, fault)
    } catch (error) {
      owner.broke(error)
    }
  }

  onWritable(): void {
    const owner = this.#owner
    if (owner === undefined) return
    try {
      owner.attemptWritable()
    } catch (error) {
      owner.broke(error)
    }
  }

  onLinked(): void {
    const owner = this.#owner
    if (owner === undefined) return
    try {
      owner.attemptLinked(this)
    } catch (error) {
      owner.broke(error)
    }
  }

  onLate(fault: Fault): boolean {
    const owner = this.#owner
    if (owner === undefined) return false
    try {
      return owner.attemptLate(this, fault)
    } catch (error) {
      owner.broke(error)
      return false
    }
  }
}
