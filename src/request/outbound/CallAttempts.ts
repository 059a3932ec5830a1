/**
 * The attempts of a call, one after the other: past the steps that stand before the first, to an
 * endpoint the balancer picks, past its guards, and on to the next while a step says so.
 */
import type { RequestHead } from "../../model/Exchange.ts"
import { type Fault, faultKinds } from "../../model/Fault.ts"
import { verdicts } from "../policy/Classifier.ts"
import { withPreviousAttempts } from "../policy/RetryPushback.ts"
import { Attempt } from "./Attempt.ts"
import { type CallStep, type FailedAttempt, held, type PassedLimit } from "./CallStep.ts"
import type { EndpointState } from "./EndpointState.ts"
import { OutboundCall } from "./OutboundCall.ts"
import {
  noHealthyEndpoint,
  noLinkWithin,
  notTheNamed,
  shuttingDown,
  superseded
} from "./OutboundFaults.ts"

export abstract class CallAttempts extends OutboundCall {
  /** Called once, before dispatch returns: the receiver is not to be called before. */
  start(): void {
    try {
      const now = this.startedAt
      const fault = this.enter(this.stack.calls.begin(this, now), now)
      if (fault !== undefined) this.failSoon(fault)
    } catch (error) {
      this.brokeSoon(error)
    }
  }

  /** The node stops while this waits for its next attempt: it is over. */
  stop(): void {
    this.judge(verdicts.connectFailure, this.clock.active())
    this.fail(shuttingDown(this.node, this.call.service))
  }

  proceed(step: CallStep): void {
    // A call that has begun an attempt waits for something else.
    if (this.over || !this.waits || this.attempts > 0) return
    this.wait(false)
    const now = this.clock.active()
    const fault = this.enter(this.stack.calls.beginAfter(step, this, now), now)
    if (fault === undefined) this.tellCaller()
    else this.fail(fault)
  }

  tryTimedOut(passed: PassedLimit): void {
    const { attempt } = this
    if (attempt === undefined) return
    const now = this.context.ticker.now()
    if (attempt.unlinked) {
      this.linkMissed(attempt, passed, now)
      return
    }
    this.reached = true
    attempt.settle(verdicts.timeout, now)
    const grpc = this.grpc ? faultKinds.upstream_timeout.grpc : undefined
    const failure = { verdict: verdicts.timeout, retryAfter: undefined, grpc }
    if (!this.followed(attempt, failure, now)) this.limitPassed(passed)
  }

  /** The attempt has waited for a link all of its time: a connect failure as any other. */
  protected linkMissed(attempt: Attempt, passed: PassedLimit, now: number): void {
    const verdict = verdicts.connectFailure
    attempt.settle(verdict, now)
    const grpc = this.grpc ? faultKinds.upstream_connect.grpc : undefined
    if (this.followed(attempt, { verdict, retryAfter: undefined, grpc }, now)) return
    this.judge(verdict, now)
    const { node } = attempt.endpoint.view
    this.fail(noLinkWithin(this.node, this.call.service, passed, node))
  }

  /** What goes by the time that the endpoint has taken begins with the link. */
  attemptLinked(attempt: Attempt): void {
    attempt.startedAt = this.clock.active()
    this.clock.begun()
    this.toldSent = false
    this.tellSent()
  }

  /** The first attempt, if the steps that begin a call have nothing against it. A fault: they have. */
  protected enter(answer: Fault | typeof held | undefined, now: number): Fault | undefined {
    if (answer !== held) return answer ?? this.next(now)
    this.wait(true)
    return undefined
  }

  /** Begins the next attempt. A fault: there is nobody to send it to. */
  protected next(now: number): Fault | undefined {
    const endpoint = this.endpointFor(now)
    if (endpoint === undefined) return this.nobody(now)
    const attempt = new Attempt(this, endpoint, now)
    this.attempt = attempt
    this.toldSent = false
    this.clock.begun()
    const number = this.call.attempt + this.attempts++
    const refusal = attempt.admit(now)
    if (refusal !== undefined) refuseSoon(attempt, refusal)
    else this.send(attempt, number, now)
    return undefined
  }

  protected endpointFor(now: number): EndpointState | undefined {
    const { only, pastCircuit } = this.call
    if (only === undefined) return this.plan.pick(now, this.tried)
    return this.plan.named(only, now, pastCircuit === true)
  }

  protected nobody(now: number): Fault {
    const { only, service } = this.call
    return only === undefined
      ? noHealthyEndpoint(this.node, this.plan, now)
      : notTheNamed(this.node, service, this.plan.explainNamed(only))
  }

  protected send(attempt: Attempt, number: number, now: number): void {
    const { endpoint } = attempt
    const { caller, identity, kind, service } = this.call
    try {
      this.observation.endpoint(endpoint.key, endpoint.view.node)
    } catch (error) {
      this.defect(error)
    }
    const left = this.deadline === undefined ? undefined : Math.floor(this.deadline - now)
    const stream = endpoint.dispatch(
      {
        kind,
        service,
        head: this.attempts > 1 && this.grpc ? this.headOfAnother() : this.head,
        endpoint: endpoint.view.endpoint,
        caller,
        identity,
        deadline: left === undefined ? undefined : Math.max(1, left),
        attempt: number,
        connectTimeout: this.stack.connectTimeout
      },
      attempt
    )
    attempt.stream = stream
    this.body.sendTo(stream)
    this.tellSent()
  }

  /** A program of gRPC is told how many attempts there were before. */
  protected headOfAnother(): RequestHead | undefined {
    const { head } = this
    if (head === undefined) return undefined
    return { ...head, fields: withPreviousAttempts(head.fields, this.attempts - 1) }
  }

  /**
   * Once the endpoint's side has been given all of the request: until then it may be the caller that
   * is waited for. Asked whenever that may have come to pass. Once more where that side was a wait for a link.
   */
  protected tellSent(): void {
    if (!this.stack.calls.watchSent || this.committed) return
    const { attempt } = this
    if (attempt?.stream === undefined || this.toldSent) return
    if (!this.body.sent && this.hasBody) return
    this.toldSent = true
    this.stack.calls.sent(this)
  }

  /**
   * Follows an attempt with another, if a step says so and what is needed of the body is still held.
   * False: what we have is what the caller gets.
   */
  protected followed(
    attempt: Attempt,
    failure: Omit<FailedAttempt, "endpoint">,
    now: number
  ): boolean {
    if (this.committed || this.over || this.context.stopping) return false
    const unsent = failure.verdict.conditions[0] === "connect_failure"
    if (unsent ? !this.body.resendable : !this.body.repeatable) return false
    const { endpoint } = attempt
    const wait = this.stack.calls.failed(this, { endpoint, ...failure }, now)
    if (wait === undefined) return false
    this.repeated = true
    this.body.detach()
    this.attempt = undefined
    // One that has not ended by itself: its connection is late.
    attempt.settle(failure.verdict, now)
    attempt.close(superseded(this.node, this.call.service))
    if (wait === 0) this.again()
    else {
      this.wait(true)
      this.pause = this.context.ticker.after(wait, () => {
        try {
          this.wait(false)
          this.again()
        } catch (error) {
          this.broke(error)
        }
      })
    }
    return true
  }

  protected again(): void {
    const now = this.clock.active()
    const fault = this.next(now)
    if (fault === undefined) this.tellCaller()
    else {
      this.judge(verdicts.connectFailure, now)
      this.fail(fault)
    }
  }

  /** Once: the caller need not be held back any longer. */
  protected tellCaller(): void {
    if (!this.over && this.body.callerMayGoOn()) this.receiver.onWritable()
  }

  // What waits for a microtask is not told where it comes up: a closure there would cost every call.

  protected failSoon(fault: Fault): void {
    queueMicrotask(() => this.fail(fault))
  }

  protected brokeSoon(error: unknown): void {
    queueMicrotask(() => this.broke(error))
  }
}

const refuseSoon = (attempt: Attempt, fault: Fault): void => {
  queueMicrotask(() => attempt.onFault(fault))
}
