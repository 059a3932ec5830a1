/**
 * What is in force for an endpoint, in words for people: the first thing that is held against it,
 * in Selection's order, and whether it may get requests all the same. Selection decides; this reads
 * what it decided, so that nobody is shown a verdict that is disregarded.
 */
import type { EndpointState } from "./EndpointState.ts"
import type { Selection } from "./Selection.ts"

/** In Selection's order, the strictest first. */
export const standingNames = [
  "draining",
  "unhealthy",
  /** Its circuit is open, or the probe that may close it is under way. */
  "circuit_open",
  /** Its node is dead, as membership says. */
  "dead",
  /** This node's link to it broke. */
  "link_down",
  "ejected",
  /** The next request finds out whether its circuit can be closed. */
  "probing",
  /** Has earned an ejection, and is in use because not all may be ejected. */
  "unwell",
  /** Its node is suspected; others may have reached it. */
  "suspect",
  "healthy"
] as const

export type StandingName = (typeof standingNames)[number]

export interface Standing {
  readonly name: StandingName
  /** It may get the next request. */
  readonly inUse: boolean
  /**
   * Why it is in use despite its standing: too few would be left (`panic`), or everything that is
   * within reach is out (`no_other`).
   */
  readonly despite: "panic" | "no_other" | undefined
  /** Monotonic ms when that ends by itself; undefined when time does not end it. */
  readonly until: number | undefined
}

/** What time ends, or nothing does. */
const named = (endpoint: EndpointState, now: number): readonly [StandingName, until?: number] => {
  const { breaker, ejection, peer, view } = endpoint
  if (view.draining) return ["draining"]
  if (!view.healthy) return ["unhealthy"]
  if (breaker !== undefined && !breaker.ready(now)) return ["circuit_open", breaker.openUntil]
  if (endpoint.unreachable) return [peer.down ? "link_down" : "dead"]
  if (ejection !== undefined && ejection.until > now) return ["ejected", ejection.until]
  if (breaker !== undefined && breaker.state !== "closed") return ["probing"]
  if (ejection !== undefined && ejection.spared > now) return ["unwell", ejection.spared]
  return [view.member === "suspect" && !view.local ? "suspect" : "healthy"]
}

const overruled: Partial<Record<StandingName, Standing["despite"]>> = {
  ejected: "panic",
  dead: "no_other",
  link_down: "no_other"
}

/** `selected`: the candidates of `Selection`, as a set, when there are many to ask for. */
export const standing = (
  endpoint: EndpointState,
  selected: ReadonlySet<EndpointState>,
  now: number
): Standing => {
  const [name, until] = named(endpoint, now)
  const inUse = selected.has(endpoint)
  return { name, inUse, despite: inUse ? overruled[name] : undefined, until }
}

export const selectedOf = ({ candidates }: Selection): ReadonlySet<EndpointState> =>
  new Set(candidates.all)
