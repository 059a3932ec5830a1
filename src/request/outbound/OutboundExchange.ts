/**
 * One call on its way out: it walks the Stack, keeps the caller's side steady while attempts come
 * and go, and ends exactly once. It is called from three sides: the caller (RequestStream), the
 * attempt under way (AttemptOwner) and its time limits (LimitedExchange).
 */
import {
  type Call,
  type Fields,
  fieldValue,
  hasBody,
  type RequestHead,
  type RequestStream,
  type ResponseHead,
  type ResponseReceiver
} from "../../model/Exchange.ts"
import type { Fault } from "../../model/Fault.ts"
import type { ExchangeObservation, Outcome } from "../../model/Observer.ts"
import type { Ticker } from "../../model/Time.ts"
import {
  classifyFault,
  classifyGrpc,
  classifyStatus,
  type Verdict,
  verdicts
} from "../policy/Classifier.ts"
import { Attempt, type AttemptOwner } from "./Attempt.ts"
import { CallRetries } from "./CallRetries.ts"
import type { EndpointState } from "./EndpointState.ts"
import { ExchangeLimits, type LimitedExchange, type PassedLimit } from "./ExchangeLimits.ts"
import {
  clientTimeout,
  noHealthyEndpoint,
  shuttingDown,
  superseded,
  upstreamTimeout
} from "./OutboundFaults.ts"
import { RequestBody } from "./RequestBody.ts"
import type { ServicePlan } from "./ServicePlan.ts"
import type { Stack } from "./Stack.ts"

/** What an exchange needs of the node. */
export interface ExchangeContext {
  /** Name of this node. */
  readonly node: string
  readonly ticker: Ticker
  /** The node stops: nothing is tried again, since the ticker may stop before the pause is over. */
  stopping: boolean
  /** Those that wait to try again. */
  readonly pausing: Set<OutboundExchange>
}

export class OutboundExchange implements RequestStream, AttemptOwner, LimitedExchange {
  readonly #context: ExchangeContext
  readonly #plan: ServicePlan
  /** As it was when the call came: a reload does not change the rules for calls under way. */
  readonly #stack: Stack
  readonly #call: Call
  /** The call's head, with the trace fields of our own span. */
  readonly #head: RequestHead | undefined
  readonly #receiver: ResponseReceiver
  readonly #observation: ExchangeObservation
  readonly #body: RequestBody
  readonly #limits: ExchangeLimits
  readonly #startedAt: number
  #attempt: Attempt | undefined = undefined
  #retries: CallRetries | undefined = undefined
  /** Status of the response forwarded to the caller; 0 as long as there is none. */
  #status = 0
  /** Bytes both ways with no head: TCP, or after 101. */
  #tunnel: boolean
  /** Something of a response has reached the caller: no retry any more. */
  committed = false
  #continued = false
  /** Of a TCP tunnel: the caller knows that it is open. */
  #told = false
  callerPaused = false
  /** Of a tunnel: the endpoint's half has ended (Exchange.ts, rule 7). */
  #answered = false
  #over = false
  #bytesOut = 0

  constructor(
    context: ExchangeContext,
    plan: ServicePlan,
    call: Call,
    receiver: ResponseReceiver,
    observation: ExchangeObservation
  ) {
    const now = context.ticker.now()
    const { stack } = plan
    const { head } = call
    const fields = observation.forwardFields
    this.#context = context
    this.#plan = plan
    this.#stack = stack
    this.#call = call
    this.#head = head === undefined || fields === head.fields ? head : { ...head, fields }
    this.#receiver = receiver
    this.#observation = observation
    this.#startedAt = now
    this.#tunnel = call.kind === "tcp"
    this.#body = new RequestBody(stack.retry?.bodyLimit)
    this.#limits = new ExchangeLimits(context.ticker, this, stack, call, now)
  }

  /** Called once, before dispatch returns. */
  start(): void {
    const now = this.#startedAt
    this.#stack.retry?.deposit(this.#call.attempt, now)
    // The receiver is not to be called before dispatch has returned.
    if (this.#limits.expired) {
      queueMicrotask(() => this.#limits.expire())
      return
    }
    const endpoint = this.#plan.pick(now, undefined)
    if (endpoint !== undefined) this.#begin(endpoint, now)
    else queueMicrotask(() => this.#fail(noHealthyEndpoint(this.#context.node, this.#plan, now)))
  }

  // ── The caller ──────────────────────────────────────────────────────────────────────────────

  write(chunk: Uint8Array): boolean {
    if (this.#over) return true
    this.#limits.written(this.#now(), this.#body.awaited)
    return this.#body.write(chunk)
  }

  end(trailers: Fields): void {
    if (this.#over) return
    this.#body.end(trailers)
    this.#startTry()
    this.#endTunnel()
  }

  resume(): void {
    if (this.#over) return
    this.#now()
    this.callerPaused = false
    this.#attempt?.stream?.resume()
  }

  cancel(fault: Fault): void {
    if (this.#over) return
    const now = this.#now()
    if (this.#tunnel) this.#body.flush()
    // An answer that had begun well counts as one, though it was not wanted to its end.
    if (this.committed && !this.#grpc) this.#settle(verdicts.success, now)
    else this.#attempt?.abandon(now)
    // Whatever was sent again has not helped this caller, unless it got its tunnel by it.
    this.#retries?.settle(this.#told ? verdicts.success : verdicts.timeout, now)
    this.#finish({ kind: "fault", code: fault.code, message: fault.message }, fault)
  }

  /** The node stops while this waits to try again: it is over. */
  stop(): void {
    this.#retries?.settle(verdicts.connectFailure, this.#now())
    this.#fail(shuttingDown(this.#context.node, this.#call.service))
  }

  // ── The attempt under way ───────────────────────────────────────────────────────────────────

  attemptInfo(head: ResponseHead): void {
    this.#now()
    if (head.status === 100) {
      // The caller sends its body at the first one; later attempts are given the copy.
      if (this.#continued) return
      this.#continued = true
    }
    this.#receiver.onInfo(head)
  }

  attemptHead(attempt: Attempt, head: ResponseHead): void {
    const now = this.#now()
    this.#limits.endTry()
    if (this.#call.kind === "tcp") {
      this.#accepted(attempt, head, now)
      return
    }
    const grpcStatus = this.#grpc ? fieldValue(head.fields, "grpc-status") : undefined
    const verdict =
      grpcStatus === undefined ? classifyStatus(head.status) : classifyGrpc(grpcStatus)
    attempt.answered(verdict, now)
    if (verdict.conditions.length > 0) {
      this.#settle(verdict, now)
      const retryAfter = fieldValue(head.fields, "retry-after")
      if (this.#retried(verdict, attempt, retryAfter, now)) return
    }
    this.#commit()
    if (!this.#grpc || grpcStatus !== undefined) this.#retries?.settle(verdict, now)
    this.#status = head.status
    if (head.status === 101) {
      this.#tunnel = true
      this.#limits.tunnel()
    }
    // How the response ends is part of the verdict. But a circuit does not wait for the end of a
    // long download to learn that its endpoint is well, and how a tunnel ends says nothing.
    if (this.#tunnel || (attempt.probing && !this.#grpc)) this.#settle(verdict, now)
    this.#plan.latency.record(now - this.#startedAt)
    this.#observation.responded(head.status)
    this.#receiver.onHead(head)
  }

  /**
   * A program has accepted a tunnel. The caller is told once: an attempt that breaks off before a
   * byte was said either way may be followed by another.
   */
  #accepted(attempt: Attempt, head: ResponseHead, now: number): void {
    if (attempt.probing) this.#settle(verdicts.success, now)
    if (this.#told) return
    this.#told = true
    this.#receiver.onHead(head)
  }

  attemptData(chunk: Uint8Array): boolean {
    const now = this.#now()
    this.#bytesOut += chunk.length
    if (!this.committed) {
      // The first bytes of a TCP tunnel.
      this.#commit()
      this.#settle(verdicts.success, now)
      this.#retries?.settle(verdicts.success, now)
    }
    const more = this.#receiver.onData(chunk)
    if (!more) this.callerPaused = true
    return more
  }

  attemptEnd(trailers: Fields): void {
    const grpcStatus = this.#grpc ? fieldValue(trailers, "grpc-status") : undefined
    const verdict = grpcStatus === undefined ? verdicts.success : classifyGrpc(grpcStatus)
    const now = this.#now()
    this.#settle(verdict, now)
    this.#retries?.settle(verdict, now)
    if (this.#tunnel && !this.#body.sent) {
      this.#commit()
      this.#answered = true
    } else this.#finish({ kind: "complete", status: this.#status }, undefined)
    this.#receiver.onEnd(trailers)
  }

  attemptFault(attempt: Attempt, fault: Fault): void {
    const now = this.#now()
    // The endpoint's node holds the same limit, and may notice first that it has passed.
    const hasty = fault.code === "upstream_timeout" && this.#limits.hasty(now)
    this.#limits.endTry()
    const verdict = this.#verdictOf(fault)
    // What is the request's fault, or comes of the caller's haste, is no verdict on the endpoint.
    if (verdict === verdicts.refused || hasty) attempt.abandon(now)
    else if (verdict === verdicts.overflow) attempt.hadNoRoom(now)
    else this.#settle(verdict, now)
    attempt.close(undefined)
    const retryAfter = fault.retryAfter === undefined ? undefined : String(fault.retryAfter)
    if (this.#retried(verdict, attempt, retryAfter, now)) return
    this.#retries?.settle(verdict, now)
    this.#fail(fault)
  }

  /**
   * A refusal of a request with a body that breaks off was a whole one, as a rule: its program
   * closed with the rest of the upload unread, and the system reset the end of the answer away.
   */
  #verdictOf(fault: Fault): Verdict {
    if (!this.committed) return classifyFault(fault)
    return this.#status >= 300 && this.#hasBody ? classifyStatus(this.#status) : verdicts.reset
  }

  attemptWritable(): void {
    this.#limits.drained(this.#now())
    this.#body.writable()
    this.#startTry()
    this.#endTunnel()
    this.#tellCaller()
  }

  // ── Time limits ─────────────────────────────────────────────────────────────────────────────

  get awaitsCaller(): boolean {
    return this.#body.awaited && this.#hasBody && !this.#awaitsContinue
  }

  /** The caller sends its body when the endpoint tells it to, which is what is waited for. */
  get #awaitsContinue(): boolean {
    return this.#head?.expectsContinue === true && !this.#continued && this.#body.received === 0
  }

  tryTimedOut(passed: PassedLimit): void {
    const attempt = this.#attempt
    if (attempt === undefined) return
    const now = this.#context.ticker.now()
    this.#settle(verdicts.timeout, now)
    if (!this.#retried(verdicts.timeout, attempt, undefined, now)) this.limitPassed(passed)
  }

  limitPassed(passed: PassedLimit): void {
    const now = this.#context.ticker.now()
    const { node } = this.#context
    const { service } = this.#call
    if (passed.late === "endpoint") this.#settle(verdicts.timeout, now)
    else this.#attempt?.abandon(now)
    if (passed.late === "client") {
      this.#fail(clientTimeout(node, service, passed, this.#body.received))
      return
    }
    this.#retries?.settle(verdicts.timeout, now)
    const attempts = (this.#retries?.made ?? 0) + 1
    const last = this.#attempt?.endpoint.view.node
    this.#fail(upstreamTimeout(node, service, passed, { attempts, last }))
  }

  // ── Attempts ────────────────────────────────────────────────────────────────────────────────

  #begin(endpoint: EndpointState, now: number): void {
    const { caller, kind, service } = this.#call
    const attempt = new Attempt(this, this.#plan, endpoint, now)
    this.#attempt = attempt
    this.#limits.begun(now)
    this.#observation.endpoint(endpoint.key, endpoint.view.node)
    const stream = endpoint.dispatch(
      {
        kind,
        service,
        head: this.#head,
        endpoint: endpoint.view.endpoint,
        caller,
        deadline: this.#limits.left(now),
        attempt: this.#call.attempt + (this.#retries?.made ?? 0),
        connectTimeout: this.#stack.connectTimeout
      },
      attempt
    )
    attempt.stream = stream
    this.#body.sendTo(stream)
    this.#startTry()
  }

  /**
   * The time of a try begins when the endpoint's side has been given all of the request: until then
   * it may be the caller that is waited for. Asked whenever that may have come to pass.
   */
  #startTry(): void {
    if (this.#stack.perTryTimeout === undefined || this.committed) return
    if (this.#attempt !== undefined && (this.#body.sent || !this.#hasBody)) this.#limits.beginTry()
  }

  /**
   * Follows an attempt with another, if that may be: within the policy, the part of the body still
   * held, and what CallRetries knows. False: what we have is what the caller gets.
   */
  #retried(
    verdict: Verdict,
    attempt: Attempt,
    retryAfter: string | undefined,
    now: number
  ): boolean {
    const { retry } = this.#stack
    if (retry === undefined || this.committed || this.#over || this.#context.stopping) return false
    const unsent = verdict.conditions[0] === "connect_failure"
    if (unsent ? !this.#body.resendable : !this.#body.repeatable) return false
    if (!retry.allows(verdict, this.#call.head?.method)) return false
    const { node, ticker } = this.#context
    const { endpoint } = attempt
    this.#retries ??= new CallRetries(retry, this.#plan, this.#call.attempt)
    const failed = { endpoint, verdict, retryAfter }
    const delay = this.#retries.next(failed, this.#limits.deadline, now, ticker)
    if (delay === "spent") this.#observation.event("retry_budget_exhausted")
    if (delay === undefined || delay === "spent") return false
    this.#observation.event("retry", {
      attempt: this.#retries.made,
      reason: verdict.name,
      endpoint: endpoint.key,
      delay
    })
    this.#body.detach()
    this.#attempt = undefined
    attempt.close(superseded(node, this.#call.service))
    if (delay === 0) this.#again()
    else {
      this.#context.pausing.add(this)
      this.#limits.backoff(delay, () => {
        this.#context.pausing.delete(this)
        this.#again()
      })
    }
    return true
  }

  #again(): void {
    const now = this.#now()
    const endpoint = this.#plan.pick(now, this.#retries?.tried)
    if (endpoint === undefined) {
      this.#retries?.settle(verdicts.connectFailure, now)
      this.#fail(noHealthyEndpoint(this.#context.node, this.#plan, now))
    } else {
      this.#begin(endpoint, now)
      this.#tellCaller()
    }
  }

  /** The response begins to reach the caller. */
  #commit(): void {
    this.committed = true
    this.#body.release()
  }

  #tellCaller(): void {
    if (!this.#over && this.#body.callerMayGoOn()) this.#receiver.onWritable()
  }

  #settle(verdict: Verdict, now: number): void {
    const event = this.#attempt?.settle(verdict, now)
    if (event !== undefined) this.#observation.event(event)
  }

  get #hasBody(): boolean {
    return this.#head !== undefined && hasBody(this.#head)
  }

  // ── The end ─────────────────────────────────────────────────────────────────────────────────

  #fail(fault: Fault): void {
    if (this.#over) return
    this.#finish({ kind: "fault", code: fault.code, message: fault.message }, fault)
    // For the caller it is over once both halves have ended, whatever becomes of its last bytes.
    if (!this.#answered || !this.#body.ended) this.#receiver.onFault(fault)
  }

  /** Once both halves have ended, and the caller's is on its way. */
  #endTunnel(): void {
    if (!this.#answered || !this.#body.sent || this.#over) return
    this.#finish({ kind: "complete", status: this.#status }, undefined)
  }

  /** With a fault the attempt under way, if any, is cut short. */
  #finish(outcome: Outcome, fault: Fault | undefined): void {
    this.#over = true
    // Only who was tried again can be waiting for that.
    if (this.#retries !== undefined) this.#context.pausing.delete(this)
    this.#limits.cancel()
    this.#body.detach()
    this.#body.release()
    this.#attempt?.close(fault)
    this.#attempt = undefined
    this.#plan.ended(outcome)
    this.#observation.end(outcome, this.#body.received, this.#bytesOut)
  }

  get #grpc(): boolean {
    return this.#plan.protocol === "grpc"
  }

  /** The time; something moves right now. */
  #now(): number {
    const now = this.#context.ticker.now()
    this.#limits.active(now)
    return now
  }
}
