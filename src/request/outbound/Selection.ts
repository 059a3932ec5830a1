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
import type { LeftOut } from "../../model/MeshView.ts"
import type { Protocol } from "../../model/NodeRecord.ts"
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

/** Those that are within reach, or those that are not, with what is held against them. */
class Group {
  size = 0
  /** Circuits let them through. */
  readonly admitting: Array<EndpointState> = []
  /** … and they are not ejected. */
  readonly available: Array<EndpointState> = []
  #well = 0

  add(endpoint: EndpointState, now: number): void {
    const { breaker, ejection } = endpoint
    this.size++
    if (breaker !== undefined && !breaker.ready(now)) return
    this.admitting.push(endpoint)
    if (ejection !== undefined && ejection.until > now) return
    this.available.push(endpoint)
    if (ejection === undefined || ejection.spared <= now) this.#well++
  }

  get panic(): boolean {
    const { admitting, available, size } = this
    return (
      admitting.length > available.length &&
      (available.length < size * panicThreshold || this.#well < available.length * panicThreshold)
    )
  }
}

export const select = (all: Iterable<EndpointState>, now: number): Selection => {
  let validUntil = Number.POSITIVE_INFINITY
  const reachable = new Group()
  const unreachable = new Group()
  for (const endpoint of all) {
    const { breaker, ejection, view } = endpoint
    if (view.draining || !view.healthy) continue
    for (const time of [breaker?.openUntil, ejection?.until, ejection?.spared]) {
      if (time !== undefined && time > now) validUntil = Math.min(validUntil, time)
    }
    const group = endpoint.unreachable ? unreachable : reachable
    group.add(endpoint, now)
  }
  const group = reachable.admitting.length > 0 ? reachable : unreachable
  const { admitting, available, panic } = group
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
  if (unhealthy > 0)
    parts.push(`${unhealthy} ${unhealthy === 1 ? "fails its" : "fail their"} health check`)
  if (draining > 0) parts.push(`${draining} ${draining === 1 ? "is" : "are"} draining`)
  if (open > 0) {
    const wait = Math.ceil(nextProbe - now)
    parts.push(
      `${open} ${open === 1 ? "has" : "have"} an open circuit (${wait > 0 ? `next probe in ${wait} ms` : "probing"})`
    )
  }
  return `of ${total} endpoint${total === 1 ? "" : "s"} ${parts.join(", ")}`
}

/** Whom nobody calls because their nodes say another protocol; empty: there are none. */
export const explainLeftOut = (
  leftOut: ReadonlyArray<LeftOut>,
  protocol: Protocol | undefined
): string => {
  const [first] = leftOut
  if (first === undefined) return ""
  const more = leftOut.length === 1 ? "one more is" : `${leftOut.length} more are`
  return `; ${more} left out, because ${first.endpoint.node} says that it is ${first.protocol} and the mesh uses ${protocol}`
}
