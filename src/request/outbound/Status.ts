/** What a node tells people about the services it calls and their endpoints. */
import type { NodeName, PeerKey, ServiceName } from "../../model/Names.ts"
import type { Protocol } from "../../model/NodeRecord.ts"
import type { Ticker } from "../../model/Time.ts"
import type { BreakerState } from "../policy/Breaker.ts"
import type { ServicePlan } from "./ServicePlan.ts"
import { type Standing, type StandingName, selectedOf, standing } from "./Standing.ts"

export interface EndpointStatus {
  readonly key: string
  readonly peer: PeerKey
  readonly node: NodeName
  readonly endpoint: string
  readonly local: boolean
  readonly weight: number
  /** As its owner's checks say. */
  readonly healthy: boolean
  readonly draining: boolean
  /** As membership says of its node. */
  readonly member: "alive" | "suspect" | "dead"
  /** This node's link to it: false after it broke, or could not be made. */
  readonly linked: boolean
  /** It may get the next request. */
  readonly selected: boolean
  /** What is in force: the first thing held against it, and whether it is in use all the same. */
  readonly standing: StandingName
  readonly despite: Standing["despite"]
  /** When that ends by itself, wall clock, milliseconds; undefined when time does not end it. */
  readonly standsUntil: number | undefined
  /** Wall clock, milliseconds; undefined when it is not ejected. In a panic that is disregarded. */
  readonly ejectedUntil: number | undefined
  readonly timesEjected: number
  /** Undefined when the policy has no breaker. */
  readonly breaker: BreakerState | undefined
  readonly inFlight: number
  /** Moving average of its latency, milliseconds; undefined when it has not answered yet. */
  readonly ewma: number | undefined
  /** Attempts with a verdict, and those that were failures, since this node first saw it. */
  readonly requests: number
  readonly failures: number
}

export interface ServiceStats {
  readonly service: ServiceName
  readonly protocol: Protocol | undefined
  readonly endpoints: number
  /** Endpoints that may get the next request. */
  readonly selected: number
  /** Ejections are disregarded: they left fewer than half of the endpoints, or mostly sick ones. */
  readonly panic: boolean
  readonly inFlight: number
  /** Calls ended since this thread first saw the service, and those with a response below 500. */
  readonly requests: number
  readonly successes: number
  /** How many response heads came within each of `latencyBounds`, as callers here saw it. */
  readonly latency: ReadonlyArray<number>
}

export const endpointStatus = (
  plan: ServicePlan,
  ticker: Ticker
): ReadonlyArray<EndpointStatus> => {
  const now = ticker.now()
  const selected = selectedOf(plan.selection(now))
  const wallOf = (time: number): number => ticker.wall() + (time - now)
  return Array.from(plan.endpoints, (endpoint) => {
    const { breaker, ejection, failures, inFlight, key, peer, requests, score, view } = endpoint
    const { name, inUse, despite, until } = standing(endpoint, selected, now)
    return {
      key,
      peer: view.peer,
      node: view.node,
      endpoint: view.endpoint,
      local: view.local,
      weight: view.weight,
      healthy: view.healthy,
      draining: view.draining,
      member: view.member,
      linked: !peer.down,
      selected: inUse,
      standing: name,
      despite,
      standsUntil: until === undefined ? undefined : wallOf(until),
      ejectedUntil:
        ejection !== undefined && ejection.until > now ? wallOf(ejection.until) : undefined,
      timesEjected: ejection?.times ?? 0,
      breaker: breaker?.state,
      inFlight,
      ewma: score.measured ? score.value(now) : undefined,
      requests,
      failures
    }
  })
}

export const serviceStats = (plan: ServicePlan, now: number): ServiceStats => {
  const { candidates, panic } = plan.selection(now)
  let count = 0
  let inFlight = 0
  for (const endpoint of plan.endpoints) {
    count++
    inFlight += endpoint.inFlight
  }
  return {
    service: plan.service,
    protocol: plan.protocol,
    endpoints: count,
    selected: candidates.all.length,
    panic,
    inFlight,
    requests: plan.requests,
    successes: plan.successes,
    latency: Array.from(plan.latency.counts)
  }
}
