/**
 * One call on its way out: what it knows, what steps see of it and may do with it (CallInFlight; it
 * knows none of them by name), and its end, which comes exactly once. CallAttempts adds the attempts,
 * OutboundExchange the bytes.
 *
 * The two add methods alone, and none that is private: a field or a private method there would have
 * the engine make each call in three steps.
 */

import type { OnDefect } from "../../model/Defect.ts"
import {
  type Call,
  type Fields,
  hasBody,
  type RequestHead,
  type ResponseHead,
  type ResponseReceiver
} from "../../model/Exchange.ts"
import type { Fault } from "../../model/Fault.ts"
import type { ExchangeObservation, Outcome } from "../../model/Observer.ts"
import type { Ticker } from "../../model/Time.ts"
import type { Timer } from "../../model/TimerWheel.ts"
import { type Verdict, verdicts } from "../policy/Classifier.ts"
import type { Attempt, AttemptOwner } from "./Attempt.ts"
import { CallClock, type IdleCall } from "./CallClock.ts"
import type { CallInFlight, CallStep, PassedLimit } from "./CallStep.ts"
import type { EndpointState } from "./EndpointState.ts"
import { brokenInside, clientTimeout, upstreamTimeout } from "./OutboundFaults.ts"
import { RequestBody } from "./RequestBody.ts"
import type { Selection } from "./Selection.ts"
import type { ServicePlan } from "./ServicePlan.ts"
import type { Stack } from "./Stack.ts"
import type { Tried } from "./Tried.ts"

/** What calls need of the node. */
export interface CallContext {
  /** Name of this node. */
  readonly node: string
  readonly ticker: Ticker
  /** The node stops: nothing is tried again, since the ticker may stop before the pause is over. */
  stopping: boolean
  /** Those without an attempt under way, whose next one a timer or a step is to begin. */
  readonly waiting: Set<{ stop(): void }>
  readonly onDefect: OnDefect
}

/** The timer of a step, in a list of the call's. */
class StepTimer {
  readonly step: CallStep
  readonly next: StepTimer | undefined
  timer: Timer | undefined = undefined

  constructor(step: CallStep, next: StepTimer | undefined) {
    this.step = step
    this.next = next
  }
}

export abstract class OutboundCall implements CallInFlight, AttemptOwner, IdleCall {
  readonly call: Call
  slots: Array<unknown> | undefined = undefined
  deadline: number | undefined = undefined
  tried: Tried<EndpointState> | undefined = undefined
  committed = false
  callerPaused = false
  protected readonly context: CallContext
  protected readonly plan: ServicePlan
  /** As it was when the call came: a reload does not change the rules for calls under way. */
  protected readonly stack: Stack
  /** The call's head, with the trace fields of our own span. */
  protected readonly head: RequestHead | undefined
  protected readonly receiver: ResponseReceiver
  protected readonly observation: ExchangeObservation
  protected readonly body: RequestBody
  protected readonly clock: CallClock
  protected readonly startedAt: number
  protected attempt: Attempt | undefined = undefined
  /** Attempts begun. */
  protected attempts = 0
  protected pause: Timer | undefined = undefined
  protected timers: StepTimer | undefined = undefined
  /** An attempt was followed by another. */
  protected repeated = false
  /** An attempt that is over may have reached a program: that a later one has not is not all there is to say. */
  protected reached = false
  /** Among those that wait. */
  protected waits = false
  /** Bytes both ways with no head: TCP, or after 101. */
  protected tunnel: boolean
  protected continued = false
  /** The steps know that the request has been sent whole, in the attempt under way. */
  protected toldSent = false
  /** Status of the response forwarded to the caller; 0 as long as there is none. */
  protected status = 0
  /** What a response of gRPC has said of how the call went. */
  protected grpcStatus: string | undefined = undefined
  /** Of a TCP tunnel: the caller knows that it is open. */
  protected told = false
  /** Of a tunnel: the endpoint's half has ended (Exchange.ts, rule 7). */
  protected answered = false
  protected over = false
  protected bytesOut = 0

  constructor(
    context: CallContext,
    plan: ServicePlan,
    call: Call,
    receiver: ResponseReceiver,
    observation: ExchangeObservation
  ) {
    const now = context.ticker.now()
    const { stack } = plan
    const { head } = call
    const fields = observation.forwardFields
    this.context = context
    this.plan = plan
    this.stack = stack
    this.call = call
    this.head = head === undefined || fields === head.fields ? head : { ...head, fields }
    this.receiver = receiver
    this.observation = observation
    this.startedAt = now
    this.tunnel = call.kind === "tcp"
    this.body = new RequestBody(stack.calls.bodyKept)
    const idle = this.tunnel ? stack.tunnelIdleTimeout : stack.idleTimeout
    this.clock = new CallClock(context.ticker, this, idle, now)
  }

  // ── What steps may know and do ──────────────────────────────────────────────────────────────

  get node(): string {
    return this.context.node
  }

  get awaitsCaller(): boolean {
    return this.body.awaited && this.hasBody && !this.awaitsContinue
  }

  /** The caller sends its body when the endpoint tells it to, which is what is waited for. */
  get awaitsContinue(): boolean {
    return this.head?.expectsContinue === true && !this.continued && this.body.received === 0
  }

  wall(): number {
    return this.context.ticker.wall()
  }

  selection(now: number): Selection {
    return this.plan.selection(now)
  }

  endpointsTime(now: number): number {
    return this.attempt === undefined ? 0 : now - this.attempt.startedAt - this.clock.callersTime
  }

  after(delay: number, step: CallStep): void {
    let own = this.timerOf(step)
    if (own === undefined) {
      own = new StepTimer(step, this.timers)
      this.timers = own
    }
    own.timer?.cancel()
    own.timer = this.context.ticker.after(delay, () => {
      try {
        step.due?.(this, this.context.ticker.now())
      } catch (error) {
        this.broke(error)
      }
    })
  }

  cancelDue(step: CallStep): void {
    this.timerOf(step)?.timer?.cancel()
  }

  protected cancelTimers(): void {
    for (let one = this.timers; one !== undefined; one = one.next) one.timer?.cancel()
  }

  protected timerOf(step: CallStep): StepTimer | undefined {
    let one = this.timers
    while (one !== undefined && one.step !== step) one = one.next
    return one
  }

  event(name: string, attributes?: Readonly<Record<string, string | number | boolean>>): void {
    try {
      this.observation.event(name, attributes)
    } catch (error) {
      this.defect(error)
    }
  }

  /** A limit of the whole call. */
  limitPassed(passed: PassedLimit): void {
    if (this.over) return
    const now = this.context.ticker.now()
    const { node } = this.context
    const { service } = this.call
    const { attempt, attempts } = this
    const unlinked = attempt?.unlinked === true
    if (passed.late !== "endpoint") attempt?.abandon(now)
    else attempt?.settle(unlinked ? verdicts.connectFailure : verdicts.timeout, now)
    const sent = attempt !== undefined && !unlinked
    if (passed.late === "client") {
      this.fail(clientTimeout(node, service, passed, this.body.received, sent))
      return
    }
    this.judge(verdicts.timeout, now)
    const last = attempt?.endpoint.view.node
    this.fail(upstreamTimeout(node, service, passed, { attempts, last, sent, unlinked }))
  }

  idle(millis: number): void {
    const late = this.awaitsCaller ? "client" : this.committed ? "nobody" : "endpoint"
    const limit = this.tunnel ? "timeout.tcpIdle" : "timeout.idle"
    try {
      this.limitPassed({ what: "move a byte", limit, millis, late: this.tunnel ? "nobody" : late })
    } catch (error) {
      this.broke(error)
    }
  }

  // ── What the two classes on top of this add ─────────────────────────────────────────────────

  abstract proceed(step: CallStep): void
  abstract tryTimedOut(passed: PassedLimit): void
  abstract stop(): void
  abstract attemptInfo(head: ResponseHead): void
  abstract attemptHead(attempt: Attempt, head: ResponseHead): void
  abstract attemptData(chunk: Uint8Array): boolean
  abstract attemptEnd(trailers: Fields): void
  abstract attemptFault(attempt: Attempt, fault: Fault): void
  abstract attemptLate(attempt: Attempt, fault: Fault): boolean
  abstract attemptLinked(attempt: Attempt): void
  abstract attemptWritable(): void

  attemptSettled(endpoint: EndpointState, verdict: Verdict): void {
    this.plan.settled(endpoint, verdict)
  }

  protected judge(verdict: Verdict, now: number): void {
    if (this.repeated) this.stack.calls.judged(this, verdict, now)
  }

  /** The status of gRPC is what counts. */
  protected get grpc(): boolean {
    return this.plan.protocol === "grpc"
  }

  protected get hasBody(): boolean {
    return this.head !== undefined && hasBody(this.head)
  }

  // ── The end ─────────────────────────────────────────────────────────────────────────────────

  protected fail(why: Fault): void {
    if (this.over) return
    const fault = this.reached && !why.sent ? { ...why, sent: true } : why
    this.finish({ kind: "fault", code: fault.code, message: fault.message }, fault)
    // For the caller it is over once both halves have ended, whatever becomes of its last bytes.
    if (this.answered && this.body.ended) return
    try {
      this.receiver.onFault(fault)
    } catch (error) {
      this.defect(error)
    }
  }

  /** With a fault the attempt under way, if any, is cut short. */
  protected finish(outcome: Outcome, fault: Fault | undefined): void {
    this.over = true
    if (this.waits) this.wait(false)
    this.clock.cancel()
    this.pause?.cancel()
    if (this.timers !== undefined) this.cancelTimers()
    this.stack.calls.over(this)
    this.body.detach()
    this.body.release()
    this.attempt?.close(fault)
    this.attempt = undefined
    this.plan.ended(outcome)
    try {
      this.observation.end(outcome, this.body.received, this.bytesOut)
    } catch (error) {
      this.defect(error)
    }
  }

  /** Something that carries the call threw: it is over, and nobody else is concerned. */
  broke(error: unknown): void {
    if (!this.over) {
      const now = this.context.ticker.now()
      this.attempt?.abandon(now)
      this.judge(verdicts.reset, now)
      this.fail(brokenInside(this.node, this.call.service, this.attempts > 0))
    }
    this.defect(error)
  }

  defect(error: unknown): void {
    this.context.onDefect(error, `a call to ${this.call.service}`)
  }

  /** Without an attempt under way, until `pause` is over, or a step says `proceed`. */
  protected wait(waits: boolean): void {
    this.waits = waits
    if (waits) this.context.waiting.add(this)
    else this.context.waiting.delete(this)
  }
}
