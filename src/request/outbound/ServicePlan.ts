/**
 * Everything the request path needs to call one service, compiled when the mesh view or a policy
 * changes: the stack, the endpoints with their state, and the current selection of them. The
 * request path reads it; exchanges hold on to it and see later changes.
 */

import type { OnDefect } from "../../model/Defect.ts"
import type { Dispatch } from "../../model/Exchange.ts"
import type { FaultCode } from "../../model/Fault.ts"
import { isGrpcFailure } from "../../model/GrpcStatus.ts"
import type { EndpointView, LeftOut, ServiceChange, ServiceView } from "../../model/MeshView.ts"
import type { ServiceName } from "../../model/Names.ts"
import type { Protocol } from "../../model/NodeRecord.ts"
import type { Outcome } from "../../model/Observer.ts"
import type { Policy } from "../../model/Policy.ts"
import { Histogram, latencyBounds } from "../cells/Cells.ts"
import { isBrokenOff, type Verdict } from "../policy/Classifier.ts"
import type { RunCount } from "../policy/RunCount.ts"
import { Candidates } from "./Candidates.ts"
import { EndpointState, type PeerState } from "./EndpointState.ts"
import type { EndpointFact } from "./EndpointStep.ts"
import type { PolicyMetrics } from "./PolicyMetrics.ts"
import { explainLeftOut, explainNone, type Selection, select } from "./Selection.ts"
import { compileStack, type Stack, type StackLines, sameValue } from "./Stack.ts"
import type { RunKind, StepService } from "./StepService.ts"
import type { Tried } from "./Tried.ts"

/** What a plan needs of the node. */
export interface PlanContext {
  readonly lines: StackLines
  readonly metrics: PolicyMetrics
  readonly onDefect: OnDefect
  readonly random: () => number
  readonly peer: (view: EndpointView) => PeerState
  /** One of the peer's endpoints left its plan. */
  readonly left: (view: EndpointView) => void
  /** An endpoint of a peer that counts as down has answered. */
  readonly answered: (peer: PeerState) => void
  readonly dispatchTo: (view: EndpointView) => Dispatch
  /** Where results in a row are counted under that name. */
  readonly runCount: (name: string) => RunCount
  /** What other threads of this node have to know of an endpoint. */
  readonly tell: (service: ServiceName, endpoint: string, fact: EndpointFact) => void
}

const nobody: Selection = {
  candidates: new Candidates<EndpointState>([]),
  validUntil: Number.POSITIVE_INFINITY,
  panic: false
}

const ofCaller: ReadonlySet<FaultCode> = new Set(["client_gone", "client_timeout"])

export class ServicePlan implements StepService {
  readonly service: ServiceName
  readonly #context: PlanContext
  readonly #endpoints = new Map<string, EndpointState>()
  #view: ServiceView | undefined = undefined
  /**
   * Who offers it over HTTP while the mesh uses TCP: HTTP calls are then refused here,
   * where the conflict is known. Undefined: HTTP calls go on.
   */
  httpLeftOut: LeftOut | undefined = undefined
  #stack: Stack
  #selection = nobody
  #stale = true
  /** The service left the mesh; exchanges under way may still hold the plan. */
  closed = false
  /**
   * Ended exchanges, and those of them that were neither faults nor 5xx, nor failures of gRPC. A caller that left, or did
   * not send its request, says nothing of the service and is in neither.
   */
  requests = 0
  successes = 0
  /** Milliseconds to the response head, as the caller saw it: all attempts together. */
  readonly latency = new Histogram(latencyBounds)

  constructor(service: ServiceName, policy: Policy, context: PlanContext) {
    this.service = service
    this.#context = context
    this.#stack = compileStack(policy, this, context.lines)
  }

  get metrics(): PolicyMetrics {
    return this.#context.metrics
  }

  get random(): () => number {
    return this.#context.random
  }

  get onDefect(): OnDefect {
    return this.#context.onDefect
  }

  runCount(endpoint: string, kind: RunKind): RunCount {
    return this.#context.runCount(`${kind} ${endpoint}`)
  }

  tell(endpoint: string, fact: EndpointFact): void {
    this.#context.tell(this.service, endpoint, fact)
  }

  /** Another thread of this node has found it out. */
  learn(endpoint: string, fact: EndpointFact, now: number): void {
    this.#endpoints.get(endpoint)?.guards.learn(fact, now)
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

  /** Names of the nodes that offer it, each once. */
  get nodes(): ReadonlyArray<string> {
    return [...new Set(Array.from(this.#endpoints.values(), ({ view }) => view.node))]
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
        view.protocol !== "tcp"
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
    const previous = this.#stack
    if (sameValue(previous.policy, policy)) return
    const stack = compileStack(policy, this, previous.lines, previous)
    for (const endpoint of this.#endpoints.values()) endpoint.follow(stack.endpoints, this)
    this.#stack = stack
    this.#stale = true
  }

  /** A peer's link broke or came back, or a step says so: the endpoints are judged anew. */
  invalidate(): void {
    this.#stale = true
  }

  /** The service left the mesh. */
  close(): void {
    this.closed = true
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

  /**
   * The one endpoint that a caller has named, whatever its owner says of it: undefined when it is not
   * there (any more), or its circuit is open and the call may not go past it.
   */
  named(key: string, now: number, pastCircuit: boolean): EndpointState | undefined {
    const endpoint = this.#endpoints.get(key)
    return endpoint?.breaker?.ready(now) === false && !pastCircuit ? undefined : endpoint
  }

  /** Why `named` found nobody. */
  explainNamed(key: string): string {
    return this.#endpoints.has(key)
      ? `${key}, the only one that may be asked, has an open circuit`
      : `${key}, the only one that may be asked, is not offered (any more)`
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

  /** The one verdict of an attempt: what is counted of every endpoint, whatever its steps. */
  settled(endpoint: EndpointState, verdict: Verdict): void {
    endpoint.requests++
    if (verdict.success) endpoint.cells.success.inc()
    else {
      endpoint.failures++
      endpoint.cells.failure.inc()
    }
    if (endpoint.peer.down && !isBrokenOff(verdict)) this.#context.answered(endpoint.peer)
  }

  /** An exchange is over. */
  ended(outcome: Outcome): void {
    if (outcome.kind === "fault" && ofCaller.has(outcome.code)) return
    this.requests++
    if (outcome.kind !== "complete" || outcome.status >= 500) return
    if (outcome.grpc === undefined || !isGrpcFailure(outcome.grpc)) this.successes++
  }

  #enter(view: EndpointView): void {
    const { dispatchTo, metrics, peer } = this.#context
    const endpoint = new EndpointState(
      view,
      peer(view),
      dispatchTo(view),
      metrics.endpoint(this.service, view.key),
      this.#stack.endpoints,
      this
    )
    this.#endpoints.set(endpoint.key, endpoint)
    endpoint.peer.endpoints.set(endpoint, this)
  }

  #leave(endpoint: EndpointState): void {
    endpoint.leave()
    this.#endpoints.delete(endpoint.key)
    endpoint.peer.endpoints.delete(endpoint)
    this.#context.left(endpoint.view)
    this.#context.metrics.removeEndpoint(this.service, endpoint.key)
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
