/**
 * Everything the request path needs to call one service, compiled when the mesh view or a policy
 * changes: the stack, the endpoints with their state, and the current selection of them. The
 * request path reads it; exchanges hold on to it and see later changes.
 */
import type { Dispatch } from "../../model/Exchange.ts"
import type { FaultCode } from "../../model/Fault.ts"
import type { EndpointView, LeftOut, ServiceChange, ServiceView } from "../../model/MeshView.ts"
import type { ServiceName } from "../../model/Names.ts"
import type { Protocol } from "../../model/NodeRecord.ts"
import type { Outcome } from "../../model/Observer.ts"
import type { Policy } from "../../model/Policy.ts"
import { Histogram, latencyBounds } from "../cells/Cells.ts"
import type { Breaker, Permit } from "../policy/Breaker.ts"
import { type Verdict, verdicts } from "../policy/Classifier.ts"
import type { Ejection } from "../policy/OutlierEjection.ts"
import { Score, type ScoreParameters } from "../policy/Score.ts"
import { Candidates } from "./Candidates.ts"
import { EndpointState, type PeerState } from "./EndpointState.ts"
import type { PolicyMetrics } from "./PolicyMetrics.ts"
import { explainLeftOut, explainNone, type Selection, select } from "./Selection.ts"
import { compileStack, type Stack, sameValue } from "./Stack.ts"
import type { Tried } from "./Tried.ts"

/** What a plan needs of the node. */
export interface PlanContext {
  readonly metrics: PolicyMetrics
  readonly random: () => number
  readonly peer: (view: EndpointView) => PeerState
  /** One of the peer's endpoints left its plan. */
  readonly left: (view: EndpointView) => void
  /** An endpoint of a peer that counts as down has answered. */
  readonly answered: (peer: PeerState) => void
  readonly dispatchTo: (view: EndpointView) => Dispatch
}

/** What a plan needs to know of an attempt that has its verdict. */
export interface SettledAttempt {
  readonly endpoint: EndpointState
  readonly startedAt: number
}

const nobody: Selection = {
  candidates: new Candidates<EndpointState>([]),
  validUntil: Number.POSITIVE_INFINITY,
  panic: false
}

/** Scores are kept for every balancer, because people look at latencies. */
const scoreParameters = (policy: Policy): ScoreParameters =>
  policy.balance.kind === "p2c_ewma" ? policy.balance : { initial: 30, decay: 10_000 }

/** Verdicts without a word from the endpoint's node: what a broken link leaves behind. */
const brokenOff: ReadonlySet<Verdict> = new Set([
  verdicts.connectFailure,
  verdicts.reset,
  verdicts.timeout
])

const ofCaller: ReadonlySet<FaultCode> = new Set(["client_gone", "client_timeout"])

export class ServicePlan {
  readonly service: ServiceName
  readonly #context: PlanContext
  readonly #endpoints = new Map<string, EndpointState>()
  #view: ServiceView | undefined = undefined
  /**
   * Who offers it over HTTP while the mesh uses another protocol: HTTP calls are then refused here,
   * where the conflict is known. Undefined: HTTP calls go on.
   */
  httpLeftOut: LeftOut | undefined = undefined
  #policy: Policy
  #stack: Stack
  #selection = nobody
  #stale = true
  /** The service left the mesh; exchanges under way may still hold the plan. */
  #closed = false
  /**
   * Ended exchanges, and those of them that were neither faults nor 5xx. A caller that left, or did
   * not send its request, says nothing of the service and is in neither.
   */
  requests = 0
  successes = 0
  /** Milliseconds to the response head, as the caller saw it: all attempts together. */
  readonly latency = new Histogram(latencyBounds)

  constructor(service: ServiceName, policy: Policy, context: PlanContext) {
    this.service = service
    this.#context = context
    this.#policy = policy
    this.#stack = compileStack(policy, context.random)
  }

  get stack(): Stack {
    return this.#stack
  }

  get protocol(): Protocol | undefined {
    return this.#view?.protocol
  }

  /** Endpoints of nodes that say another protocol; nobody calls them. */
  get leftOut(): ReadonlyArray<LeftOut> {
    return this.#view?.leftOut ?? []
  }

  get endpoints(): Iterable<EndpointState> {
    return this.#endpoints.values()
  }

  /**
   * A new view of the service, and what is new in it. Endpoints that stay keep their state; those of
   * which nothing is said are not looked at.
   */
  update(view: ServiceView, { set, removed }: ServiceChange, now: number): void {
    const before = this.#view
    this.#view = view
    if (before?.leftOut !== view.leftOut || before?.protocol !== view.protocol) {
      this.httpLeftOut =
        view.protocol === "http"
          ? undefined
          : view.leftOut?.find(
              ({ endpoint, protocol }) => protocol === "http" && endpoint.member !== "dead"
            )
    }
    for (const endpoint of set) {
      const known = this.#endpoints.get(endpoint.key)
      if (known === undefined) this.#enter(endpoint)
      else {
        if (endpoint.healthy && !known.view.healthy) known.recovered(now)
        known.view = endpoint
      }
    }
    for (const key of removed) {
      const endpoint = this.#endpoints.get(key)
      if (endpoint !== undefined) this.#leave(endpoint)
    }
    this.#stale = true
  }

  /** State of the parts that do not change is kept. */
  setPolicy(policy: Policy): void {
    const previous = this.#policy
    if (sameValue(previous, policy)) return
    const stack = compileStack(policy, this.#context.random, {
      policy: previous,
      stack: this.#stack
    })
    for (const endpoint of this.#endpoints.values()) {
      if (!sameValue(previous.breaker, policy.breaker)) endpoint.breaker = stack.breaker?.()
      if (stack.ejection !== this.#stack.ejection) endpoint.ejection = stack.ejection?.add()
      if (!sameValue(scoreParameters(previous), scoreParameters(policy))) {
        endpoint.score = new Score(scoreParameters(policy))
      }
    }
    this.#policy = policy
    this.#stack = stack
    this.#stale = true
  }

  /** A peer's link broke or came back: its endpoints are judged anew. */
  invalidate(): void {
    this.#stale = true
  }

  /** The service left the mesh. */
  close(): void {
    this.#closed = true
    for (const endpoint of this.#endpoints.values()) this.#leave(endpoint)
    this.#view = undefined
    this.#context.metrics.removeService(this.service)
    this.#stale = true
  }

  /** Endpoints that may get the next request. */
  selection(now: number): Selection {
    if (!this.#stale && now < this.#selection.validUntil) return this.#selection
    const next = select(this.#endpoints.values(), now)
    this.#forgetScoresOfReturning(this.#selection, next)
    this.#selection = next
    this.#stale = false
    return next
  }

  /** The endpoint for the next attempt of a call that has been to those in `tried`. */
  pick(now: number, tried: Tried<EndpointState> | undefined): EndpointState | undefined {
    const { candidates } = this.selection(now)
    if (candidates.all.length === 0) return undefined
    const { balancer } = this.#stack
    return tried === undefined
      ? balancer.pick(candidates, now, "first")
      : balancer.pick(tried.choose(candidates, now), now, "retry")
  }

  /** Why `pick` found nobody. */
  explain(now: number): string {
    return explainNone(this.#endpoints.values(), now) + explainLeftOut(this.leftOut, this.protocol)
  }

  /** Milliseconds after which it is worth asking again, when that is known. */
  retryAfter(now: number): number | undefined {
    const { validUntil } = this.selection(now)
    return Number.isFinite(validUntil) ? validUntil - now : undefined
  }

  /** Before an attempt is sent. The endpoint was picked, so its circuit lets it through. */
  admit(endpoint: EndpointState, now: number): Permit {
    const { breaker } = endpoint
    if (breaker === undefined || breaker.state === "closed") return "normal"
    const before = breaker.state
    const permit = breaker.admit(now) ?? "normal"
    // Further probes of a half-open circuit are no transition, but the selection waits anew.
    if (before === "open") this.#breakerMoved(endpoint)
    else this.#stale = true
    return permit
  }

  /**
   * The one verdict of an attempt. `breaker` is the circuit it was admitted by. Returns the name of
   * the event when this one took the endpoint out.
   */
  settle(
    attempt: SettledAttempt,
    breaker: Breaker | undefined,
    permit: Permit,
    verdict: Verdict,
    now: number
  ): "breaker_open" | "ejected" | undefined {
    const { endpoint } = attempt
    endpoint.requests++
    if (verdict.success) endpoint.cells.success.inc()
    else {
      endpoint.failures++
      endpoint.cells.failure.inc()
    }
    if (endpoint.peer.down) {
      if (brokenOff.has(verdict)) {
        // The link's end, which is one event however many calls it ends, and is seen to already: the
        // peer is down. A crash of one thread of that node must not close the endpoint to all of ours.
        this.abandon(endpoint, breaker, permit, now)
        return undefined
      }
      this.#context.answered(endpoint.peer)
    }
    let event: "breaker_open" | "ejected" | undefined
    if (breaker !== undefined) {
      const moved = verdict.success
        ? breaker.success(permit)
        : breaker.failure(permit, now, this.#context.random())
      if (moved && breaker === endpoint.breaker) {
        this.#breakerMoved(endpoint)
        if (!verdict.success) event = "breaker_open"
      }
    }
    const { ejection } = this.#stack
    if (ejection !== undefined && endpoint.ejection !== undefined) {
      const { revision } = ejection
      for (const out of ejection.result(endpoint.ejection, verdict.success, now, attempt)) {
        if (this.#ejected(out) === endpoint) event = "ejected"
      }
      if (ejection.revision !== revision) this.#stale = true
    }
    return event
  }

  /** An attempt that was given up before it had a verdict. */
  abandon(endpoint: EndpointState, breaker: Breaker | undefined, permit: Permit, now: number) {
    if (breaker?.abandon(permit, now) === true && breaker === endpoint.breaker) {
      this.#breakerMoved(endpoint)
    }
  }

  retried(verdict: Verdict): void {
    if (!this.#closed) this.#context.metrics.retry(this.service, verdict)
  }

  budgetExhausted(): void {
    if (!this.#closed) this.#context.metrics.budgetExhausted(this.service)
  }

  /** An exchange is over. */
  ended(outcome: Outcome): void {
    if (outcome.kind === "fault" && ofCaller.has(outcome.code)) return
    this.requests++
    if (outcome.kind === "complete" && outcome.status < 500) this.successes++
  }

  #enter(view: EndpointView): void {
    const { dispatchTo, metrics, peer } = this.#context
    const endpoint = new EndpointState(
      view,
      peer(view),
      dispatchTo(view),
      metrics.endpoint(this.service, view.key),
      new Score(scoreParameters(this.#policy))
    )
    endpoint.breaker = this.#stack.breaker?.()
    endpoint.ejection = this.#stack.ejection?.add()
    this.#endpoints.set(endpoint.key, endpoint)
    endpoint.peer.endpoints.set(endpoint, this)
  }

  #leave(endpoint: EndpointState): void {
    endpoint.gone = true
    this.#endpoints.delete(endpoint.key)
    endpoint.peer.endpoints.delete(endpoint)
    this.#context.left(endpoint.view)
    if (endpoint.ejection !== undefined) this.#stack.ejection?.remove(endpoint.ejection)
    this.#context.metrics.removeEndpoint(this.service, endpoint.key)
  }

  #breakerMoved(endpoint: EndpointState): void {
    this.#stale = true
    if (endpoint.breaker === undefined || endpoint.gone) return
    this.#context.metrics.breaker(this.service, endpoint.key, endpoint.breaker.state)
  }

  #ejected(ejection: Ejection): EndpointState | undefined {
    for (const endpoint of this.#endpoints.values()) {
      if (endpoint.ejection !== ejection.record) continue
      this.#context.metrics.ejection(this.service, endpoint.key, ejection.reason)
      return endpoint
    }
    return undefined
  }

  /**
   * The score of an endpoint that was out of the selection is from before whatever kept it out.
   * Without it, it is tried at once and then judged on its answer, instead of being avoided until
   * the old score has faded.
   */
  #forgetScoresOfReturning(before: Selection, after: Selection): void {
    if (before.candidates.all.length === 0) return
    const stayed = new Set(before.candidates.all)
    for (const endpoint of after.candidates.all) {
      if (!stayed.has(endpoint)) endpoint.score.forget()
    }
  }
}
