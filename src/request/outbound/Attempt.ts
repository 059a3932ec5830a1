/**
 * One attempt of an exchange at one endpoint: the receiver its response comes to, and its account
 * with the endpoint (in flight, circuit, latency, verdict). Settled at most once, released exactly
 * once; after it is closed nothing it is told reaches the exchange.
 */
import type { Fields, RequestStream, ResponseHead, ResponseReceiver } from "../../model/Exchange.ts"
import type { Fault } from "../../model/Fault.ts"
import type { Breaker, Permit } from "../policy/Breaker.ts"
import type { Verdict } from "../policy/Classifier.ts"
import type { EndpointState } from "./EndpointState.ts"
import type { ServicePlan } from "./ServicePlan.ts"

/** The exchange, as its attempts see it. */
export interface AttemptOwner {
  attemptInfo(head: ResponseHead): void
  attemptHead(attempt: Attempt, head: ResponseHead): void
  attemptData(chunk: Uint8Array): boolean
  attemptEnd(trailers: Fields): void
  attemptFault(attempt: Attempt, fault: Fault): void
  attemptWritable(): void
}

export class Attempt implements ResponseReceiver {
  readonly endpoint: EndpointState
  readonly startedAt: number
  /** Set as soon as the endpoint's dispatch has returned, which is before any response. */
  stream: RequestStream | undefined = undefined
  readonly #plan: ServicePlan
  /** The circuit that admitted it; a change of policy may give the endpoint another meanwhile. */
  readonly #breaker: Breaker | undefined
  readonly #permit: Permit
  #owner: AttemptOwner | undefined
  #settled = false
  /** What it has counted as in the endpoint's score, at its head. */
  #scored: Verdict | undefined = undefined

  constructor(owner: AttemptOwner, plan: ServicePlan, endpoint: EndpointState, now: number) {
    this.#owner = owner
    this.#plan = plan
    this.endpoint = endpoint
    this.startedAt = now
    this.#breaker = endpoint.breaker
    this.#permit = plan.admit(endpoint, now)
    endpoint.inFlight++
    endpoint.cells.inFlight.add(1)
  }

  /** Half-open circuits wait for its verdict. */
  get probing(): boolean {
    return this.#permit !== "normal"
  }

  /** The response head is here. How the response will end is not known yet. */
  answered(verdict: Verdict, now: number): void {
    this.endpoint.cells.latency.record(now - this.startedAt)
    if (verdict.served) this.endpoint.score.answered(now - this.startedAt, now)
    else scoreWithoutWork(this, verdict, now)
    this.#scored = verdict
  }

  /** Its one verdict; later ones are ignored. Returns what it led to, if anything. */
  settle(verdict: Verdict, now: number): "breaker_open" | "ejected" | undefined {
    if (this.#settled) return undefined
    this.#settled = true
    if (this.#scored === undefined) {
      if (verdict.served) this.endpoint.score.working(now)
      else scoreWithoutWork(this, verdict, now)
    } else if (!verdict.served && verdict !== this.#scored) {
      this.endpoint.score.retract(isFailure(verdict))
    }
    return this.#plan.settle(this, this.#breaker, this.#permit, verdict, now)
  }

  /** Nobody wants the response any more; that is no verdict on the endpoint. */
  abandon(now: number): void {
    if (this.#settled) return
    this.#settled = true
    this.endpoint.score.abandoned(now - this.startedAt, now)
    this.#plan.abandon(this.endpoint, this.#breaker, this.#permit, now)
  }

  /**
   * A node on the way had no room for it. The endpoint was not asked and stays well; but the balancer
   * looks elsewhere first, since where there was no room there seldom is some a moment later.
   */
  hadNoRoom(now: number): void {
    if (this.#settled) return
    this.#settled = true
    this.endpoint.score.failed(now - this.startedAt, now)
    this.#plan.abandon(this.endpoint, this.#breaker, this.#permit, now)
  }

  /** It is over. With a fault: it is cut short, and the endpoint's side is told. */
  close(fault: Fault | undefined): void {
    if (this.#owner === undefined) return
    this.#owner = undefined
    this.endpoint.inFlight--
    this.endpoint.cells.inFlight.add(-1)
    const stream = this.stream
    this.stream = undefined
    if (fault !== undefined) stream?.cancel(fault)
  }

  onInfo(head: ResponseHead): void {
    this.#owner?.attemptInfo(head)
  }

  onHead(head: ResponseHead): void {
    this.#owner?.attemptHead(this, head)
  }

  onData(chunk: Uint8Array): boolean {
    return this.#owner?.attemptData(chunk) ?? true
  }

  onEnd(trailers: Fields): void {
    this.#owner?.attemptEnd(trailers)
  }

  onFault(fault: Fault): void {
    this.#owner?.attemptFault(this, fault)
  }

  onWritable(): void {
    this.#owner?.attemptWritable()
  }
}

const scoreWithoutWork = (attempt: Attempt, verdict: Verdict, now: number): void => {
  const { score } = attempt.endpoint
  const latency = now - attempt.startedAt
  if (isFailure(verdict)) score.failed(latency, now)
  else score.declined(latency, now)
}

/** To the balancer: what another endpoint might have done better. */
const isFailure = ({ conditions }: Verdict): boolean => conditions.length > 0
