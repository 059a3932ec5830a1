/**
 * The outbound half of a node's request plane: takes calls to services and carries each to an
 * endpoint, as the service's policy says. It follows the mesh view by itself.
 */

import type { OnDefect } from "../../model/Defect.ts"
import {
  type Call,
  type Dispatch,
  type Fields,
  noFields,
  type RequestStream,
  type ResponseReceiver
} from "../../model/Exchange.ts"
import type { Fault } from "../../model/Fault.ts"
import {
  type EndpointView,
  type MeshView,
  type MeshViewCell,
  type ViewChange,
  wholeView
} from "../../model/MeshView.ts"
import type { PeerKey, ServiceName } from "../../model/Names.ts"
import type { ExchangeObservation, Observer } from "../../model/Observer.ts"
import type { Policy } from "../../model/Policy.ts"
import { refuse } from "../../model/RefusedExchange.ts"
import type { Ticker } from "../../model/Time.ts"
import type { MetricRegistry } from "../cells/Metrics.ts"
import type { HostRuns } from "../policy/HostRuns.ts"
import { OwnRunCount } from "../policy/RunCount.ts"
import type { PeerState } from "./EndpointState.ts"
import type { EndpointFact } from "./EndpointStep.ts"
import { LostServices } from "./LostServices.ts"
import type { CallContext } from "./OutboundCall.ts"
import { OutboundExchange } from "./OutboundExchange.ts"
import { nobodyOffersNow, protocolConflict, routeNotFound } from "./OutboundFaults.ts"
import { PolicyMetrics } from "./PolicyMetrics.ts"
import { type PlanContext, ServicePlan } from "./ServicePlan.ts"
import { type StackLines, stackLines } from "./Stack.ts"
import { observeStandings } from "./StandingMetrics.ts"
import { type EndpointStatus, endpointStatus, type ServiceStats, serviceStats } from "./Status.ts"

export interface OutboundOptions {
  readonly self: { readonly peer: PeerKey; readonly node: string; readonly zone?: string }
  readonly view: MeshViewCell
  readonly policies: ReadonlyMap<ServiceName, Policy>
  /** For services that `policies` does not name. */
  readonly defaultPolicy: Policy
  readonly ticker: Ticker
  readonly metrics: MetricRegistry
  readonly observer: Observer
  /** This node's inbound stack: its own endpoints are called without a link. */
  readonly local: Dispatch
  /**
   * To another node; asked once per endpoint. Without a link its calls end with `upstream_connect`
   * and `sent: false`.
   */
  readonly remote: (peer: PeerKey) => Dispatch
  /** What `peerDown` and `peerUp` have said of a peer whose first endpoint comes now. Default: it is up. */
  readonly isDown?: (peer: PeerKey) => boolean
  /** Why a service is not in the view, when that is known; asked only when somebody calls it. */
  readonly whyMissing?: (service: ServiceName) => string | undefined
  /** May this node speak for whom the call says? A fault says no, and why. Absent: it may. */
  readonly speaksFor?: (call: Call) => Fault | undefined
  /**
   * Told once of each thing that threw behind this: an observer, a step of a policy, a receiver, an
   * endpoint's side. It has cost at most the call it was thrown in.
   */
  readonly onDefect: OnDefect
  /** Told what other threads of this node have to know of an endpoint. Default: there are none. */
  readonly onFact?: (service: ServiceName, endpoint: string, fact: EndpointFact) => void
  /** Where all threads of this node count results in a row. Default: this one counts its own. */
  readonly runs?: HostRuns
  /** What policies are made into; by default `stackLines`. */
  readonly lines?: StackLines
}

export interface Outbound {
  readonly dispatch: Dispatch
  /** Replaces all policies. State of the parts that did not change is kept. */
  readonly setPolicies: (policies: ReadonlyMap<ServiceName, Policy>) => void
  /**
   * There is no link to a peer, since it broke or could not be made: its endpoints are skipped at once,
   * unless there are no others, until `peerUp` or until one of them answers. What fails meanwhile is
   * held against none of them. Call it before the exchanges on the link are failed, so
   * that their retries go elsewhere.
   */
  readonly peerDown: (peer: PeerKey) => void
  readonly peerUp: (peer: PeerKey) => void
  /** What another thread of this node has found out. */
  readonly learn: (service: ServiceName, endpoint: string, fact: EndpointFact) => void
  /** Empty for a service that is not in the mesh. */
  readonly endpoints: (service: ServiceName) => ReadonlyArray<EndpointStatus>
  readonly services: () => ReadonlyArray<ServiceStats>
  /**
   * Stops following the view, and trying again. Attempts under way go on; whoever ends their links
   * ends them.
   */
  readonly close: () => void
}

export const makeOutbound = (options: OutboundOptions): Outbound => {
  const { defaultPolicy, local, observer, remote, self, ticker, view } = options
  let policies = options.policies
  const plans = new Map<ServiceName, ServicePlan>()
  /** Peers that have endpoints. */
  const peers = new Map<PeerKey, PeerState>()
  /** Those that lost one since the last look whether they have any left. */
  const losing = new Set<PeerKey>()
  const lost = new LostServices()
  const { onDefect, lines = stackLines } = options
  const callContext: CallContext = {
    node: self.node,
    ticker,
    stopping: false,
    waiting: new Set(),
    onDefect
  }

  const peerState = (peer: PeerKey): PeerState => {
    const known = peers.get(peer)
    if (known !== undefined) return known
    // One whose endpoints had all gone was forgotten, but what is known of its link goes on.
    const state: PeerState = { down: options.isDown?.(peer) === true, endpoints: new Map() }
    peers.set(peer, state)
    return state
  }

  const planContext: PlanContext = {
    lines,
    onDefect,
    metrics: new PolicyMetrics(options.metrics),
    random: () => ticker.random(),
    peer: (endpoint) => peerState(endpoint.peer),
    left: (endpoint) => losing.add(endpoint.peer),
    answered: (peer) => setDown(peer, false),
    dispatchTo: (endpoint: EndpointView) => (endpoint.local ? local : remote(endpoint.peer)),
    runCount: (name) => options.runs?.count(name) ?? new OwnRunCount(),
    tell: (service, endpoint, fact) => options.onFact?.(service, endpoint, fact)
  }

  /** Costs what changed, however large the mesh. */
  const follow = (current: MeshView, change: ViewChange): void => {
    const now = ticker.now()
    for (const news of change.services) {
      const service = current.services.get(news.name)
      if (service === undefined) continue
      let plan = plans.get(news.name)
      if (plan === undefined) {
        plan = new ServicePlan(news.name, policies.get(news.name) ?? defaultPolicy, planContext)
        plans.set(news.name, plan)
        lost.found(news.name)
      }
      plan.update(service, news, now)
    }
    for (const name of change.gone) {
      const plan = plans.get(name)
      if (plan === undefined) continue
      lost.lose(name, plan.nodes, now)
      plan.close()
      plans.delete(name)
    }
    // Only now: an endpoint may have gone from one service and come to another.
    for (const peer of losing) if (peers.get(peer)?.endpoints.size === 0) peers.delete(peer)
    losing.clear()
  }

  const setDown = (peer: PeerState | undefined, down: boolean): void => {
    if (peer === undefined || peer.down === down) return
    peer.down = down
    const now = ticker.now()
    for (const [endpoint, plan] of peer.endpoints) {
      plan.invalidate()
      if (!down) endpoint.recovered(now)
    }
  }

  const begin = (call: Call, plan: ServicePlan | undefined): ExchangeObservation => {
    const fields = call.head?.fields ?? noFields
    try {
      return observer.begin({
        direction: "outbound",
        kind: call.kind,
        service: call.service,
        unknown: plan === undefined,
        grpc: plan?.protocol === "grpc" && call.kind === "http",
        caller: self.node,
        identity: call.identity,
        method: call.head?.method ?? "",
        target: call.head?.target ?? "",
        fields
      })
    } catch (error) {
      onDefect(error, `a call to ${call.service}`)
      return unobserved(fields)
    }
  }

  const whyMissing = (service: ServiceName): string | undefined => {
    try {
      return options.whyMissing?.(service)
    } catch (error) {
      onDefect(error, `a call to ${service}`)
      return undefined
    }
  }

  const refused = (
    receiver: ResponseReceiver,
    fault: Fault,
    observation: ExchangeObservation
  ): RequestStream =>
    refuse(receiver, fault, onDefect, ({ code, message }, received) =>
      observation.end({ kind: "fault", code, message }, received, 0)
    )

  const whyNot = (service: ServiceName, plan: ServicePlan | undefined): Fault => {
    if (plan?.httpLeftOut !== undefined) {
      return protocolConflict(self.node, plan, plan.httpLeftOut)
    }
    const [now, why] = [ticker.now(), whyMissing(service)]
    // Who offers it and may not, or was taken out of the mesh, is not about to be back.
    const was = why === undefined ? lost.get(service, now) : undefined
    return was === undefined
      ? routeNotFound(self.node, service, why)
      : nobodyOffersNow(self.node, service, was, now)
  }

  observeStandings(
    options.metrics,
    () => plans.values(),
    () => ticker.now()
  )
  follow(view.current, wholeView(view.current))
  const unsubscribe = view.subscribe(follow)

  return {
    dispatch: (call, receiver) => {
      const plan = plans.get(call.service)
      const observation = begin(call, plan)
      const denied = options.speaksFor?.(call)
      if (denied !== undefined) return refused(receiver, denied, observation)
      if (plan === undefined || (plan.httpLeftOut !== undefined && call.kind === "http")) {
        return refused(receiver, whyNot(call.service, plan), observation)
      }
      const exchange = new OutboundExchange(callContext, plan, call, receiver, observation)
      exchange.start()
      return exchange
    },
    setPolicies: (next) => {
      policies = next
      for (const [name, plan] of plans) plan.setPolicy(next.get(name) ?? defaultPolicy)
    },
    peerDown: (peer) => {
      // Nothing stands between a node and its own endpoints.
      if (peer !== self.peer) setDown(peers.get(peer), true)
    },
    peerUp: (peer) => setDown(peers.get(peer), false),
    learn: (service, endpoint, fact) => plans.get(service)?.learn(endpoint, fact, ticker.now()),
    endpoints: (service) => {
      const plan = plans.get(service)
      return plan === undefined ? [] : endpointStatus(plan, ticker)
    },
    services: () => Array.from(plans.values(), (plan) => serviceStats(plan, ticker.now())),
    close: () => {
      unsubscribe()
      callContext.stopping = true
      for (const call of [...callContext.waiting]) call.stop()
    }
  }
}

/** Of a call whose observer threw at its beginning. */
const unobserved = (fields: Fields): ExchangeObservation => ({
  forwardFields: fields,
  responded: () => undefined,
  endpoint: () => undefined,
  event: () => undefined,
  end: () => undefined
})
