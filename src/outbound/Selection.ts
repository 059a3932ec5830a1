/**
 * Which endpoints of a service may get the next request. In order:
 *
 * 1. Out, always: draining (its owner takes nothing new), unhealthy (its owner checks it where it
 *    runs, so nobody knows better), and one whose circuit is open (not even in panic: it protects
 *    the endpoint).
 * 2. Out, if anything else is left: those of nodes that are dead or whose link is down.
 * 3. Out: ejected ones – unless that leaves fewer than half of the reachable ones. Then our
 *    judgement is more likely wrong than all of them, or the rest would be overrun: panic, use
 *    all (Envoy). The same when fewer than half of those left are well: the others are in only
 *    because not all may be ejected, and whoever was ejected first may be well by now.
 */
import { Candidates } from "./Candidates.ts"
import type { EndpointState } from "./EndpointState.ts"

/** Share of endpoints, in use or well, under which ejections are disregarded. Envoy: 50 %. */
export const panicThreshold = 0.5

export interface Selection {
  readonly candidates: Candidates<EndpointState>
  /** Time at which this may change by itself: an ejection ends, a circuit may be probed. */
  readonly validUntil: number
  readonly panic: boolean
}

export const select = (all: Iterable<EndpointState>, now: number): Selection => {
  let validUntil = Number.POSITIVE_INFINITY
  const reachable: Array<EndpointState> = []
  const unreachable: Array<EndpointState> = []
  for (const endpoint of all) {
    if (endpoint.view.draining || !endpoint.view.healthy) continue
    if (endpoint.unreachable) unreachable.push(endpoint)
    else reachable.push(endpoint)
  }
  const known = reachable.length > 0 ? reachable : unreachable
  const admitting: Array<EndpointState> = []
  const available: Array<EndpointState> = []
  let well = 0
  for (const endpoint of known) {
    const { breaker, ejection } = endpoint
    const openUntil = breaker?.openUntil ?? 0
    const ejectedUntil = ejection?.until ?? 0
    const unwellUntil = ejection?.spared ?? 0
    for (const time of [openUntil, ejectedUntil, unwellUntil]) {
      if (time > now) validUntil = Math.min(validUntil, time)
    }
    if (breaker !== undefined && !breaker.ready(now)) continue
    admitting.push(endpoint)
    if (ejectedUntil > now) continue
    available.push(endpoint)
    if (unwellUntil <= now) well++
  }
  const panic =
    admitting.length > available.length &&
    (available.length < known.length * panicThreshold || well < available.length * panicThreshold)
  return { candidates: new Candidates(panic ? admitting : available), validUntil, panic }
}

/** Why nothing can be selected, in words. */
export const explainNone = (all: Iterable<EndpointState>, now: number): string => {
  let draining = 0
  let unhealthy = 0
  let open = 0
  let total = 0
  let nextProbe = Number.POSITIVE_INFINITY
  for (const { view, breaker } of all) {
    total++
    if (view.draining) draining++
    else if (!view.healthy) unhealthy++
    else if (breaker !== undefined && !breaker.ready(now)) {
      open++
      nextProbe = Math.min(nextProbe, breaker.openUntil)
    }
  }
  if (total === 0) return "it has no endpoints"
  const parts: Array<string> = []
  if (unhealthy > 0) parts.push(`${unhealthy} fail their health check`)
  if (draining > 0) parts.push(`${draining} are draining`)
  if (open > 0) {
    const wait = Math.ceil(nextProbe - now)
    parts.push(
      `${open} have an open circuit (${wait > 0 ? `next probe in ${wait} ms` : "probing"})`
    )
  }
  return `of ${total} endpoint${total === 1 ? "" : "s"} ${parts.join(", ")}`
}
