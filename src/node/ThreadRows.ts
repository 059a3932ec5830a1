/**
 * What the request threads answer to people's questions, put together: sums where things add up, and
 * where they contradict each other what is worse, for that is what somebody looks for.
 */
import { Effect } from "effect"
import type { ConnectionStatus } from "../mesh/host/ConnectionKeeper.ts"
import type { PeerKey, ServiceName } from "../model/Names.ts"
import { latencyBounds, quantileOf } from "../request/cells/Cells.ts"
import type { AccessUse } from "../request/inbound/AccessGuard.ts"
import type { PeerLinkStatus } from "../request/link/LinkPool.ts"
import { standingNames } from "../request/outbound/Standing.ts"
import type { EndpointStatus, ServiceStats } from "../request/outbound/Status.ts"
import type { AskedRows, PlaneLoad } from "../request/PlaneQuestions.ts"
import type { RequestThreads } from "./RequestThreads.ts"

type RowsOf<Kind extends AskedRows["kind"]> = Extract<AskedRows, { readonly kind: Kind }>

const ofKind = <Kind extends AskedRows["kind"]>(
  answers: ReadonlyArray<AskedRows>,
  kind: Kind
): ReadonlyArray<RowsOf<Kind>> => answers.filter((rows): rows is RowsOf<Kind> => rows.kind === kind)

/** What a thread has not answered by then is left out, ms: it is busy with requests. */
export const askPatience = 250

/** How each thread's access rules are used. */
export const accessUse = (
  threads: Pick<RequestThreads, "ask">
): Effect.Effect<ReadonlyArray<AccessUse>> =>
  Effect.map(
    Effect.promise(() => threads.ask({ kind: "access" }, askPatience)),
    (answers) => ofKind(answers, "access").map(({ use }) => use)
  )

/** One service over all threads. */
export interface ServiceRow extends Omit<ServiceStats, "latency" | "successes"> {
  /** 1 when there was no call. */
  readonly successRate: number
  /** Milliseconds to the response head. */
  readonly p50: number
  readonly p95: number
  readonly p99: number
}

export const serviceRows = (
  answers: ReadonlyArray<AskedRows>
): ReadonlyMap<ServiceName, ServiceRow> => {
  const sums = new Map<ServiceName, ServiceStats>()
  for (const { rows } of ofKind(answers, "services")) {
    for (const row of rows) {
      const known = sums.get(row.service)
      sums.set(row.service, known === undefined ? row : addServices(known, row))
    }
  }
  return new Map(
    Array.from(sums.values(), ({ latency, successes, ...row }) => [
      row.service,
      {
        ...row,
        successRate: row.requests === 0 ? 1 : successes / row.requests,
        p50: quantileOf(latencyBounds, latency, 0.5),
        p95: quantileOf(latencyBounds, latency, 0.95),
        p99: quantileOf(latencyBounds, latency, 0.99)
      }
    ])
  )
}

const addServices = (a: ServiceStats, b: ServiceStats): ServiceStats => ({
  ...a,
  protocol: a.protocol ?? b.protocol,
  endpoints: Math.max(a.endpoints, b.endpoints),
  selected: Math.max(a.selected, b.selected),
  panic: a.panic || b.panic,
  inFlight: a.inFlight + b.inFlight,
  requests: a.requests + b.requests,
  successes: a.successes + b.successes,
  latency: a.latency.map((count, index) => count + (b.latency[index] ?? 0))
})

/** In the order of the first thread. */
export const endpointRows = (answers: ReadonlyArray<AskedRows>): ReadonlyArray<EndpointStatus> => {
  const byKey = new Map<string, Array<EndpointStatus>>()
  for (const answer of ofKind(answers, "endpoints")) {
    for (const row of answer.rows) {
      const rows = byKey.get(row.key)
      if (rows === undefined) byKey.set(row.key, [row])
      else rows.push(row)
    }
  }
  return Array.from(byKey.values(), (rows) => ({
    ...rows.reduce(addEndpoints),
    ewma: meanLatency(rows)
  }))
}

const addEndpoints = (a: EndpointStatus, b: EndpointStatus): EndpointStatus => {
  const worse = isStricter(b, a) ? b : a
  const other = worse === a ? b : a
  return {
    ...worse,
    despite: worse.despite ?? (other.standing === worse.standing ? other.despite : undefined),
    linked: a.linked && b.linked,
    selected: a.selected || b.selected,
    ejectedUntil: latest(a.ejectedUntil, b.ejectedUntil),
    timesEjected: Math.max(a.timesEjected, b.timesEjected),
    breaker: breakerRank.find((state) => a.breaker === state || b.breaker === state),
    inFlight: a.inFlight + b.inFlight,
    requests: a.requests + b.requests,
    failures: a.failures + b.failures
  }
}

/** The standing held against it that comes first, and of the same one the longest. */
const isStricter = (a: EndpointStatus, b: EndpointStatus): boolean => {
  const ranks = rank(a) - rank(b)
  return ranks !== 0 ? ranks < 0 : endOf(a) > endOf(b)
}

/** The stricter, the lower. */
const rank = ({ standing }: EndpointStatus): number => standingNames.indexOf(standing)

const endOf = ({ standsUntil }: EndpointStatus): number => standsUntil ?? Number.POSITIVE_INFINITY

/** A thread whose circuit is closed says nothing of the others'. */
const breakerRank: ReadonlyArray<NonNullable<EndpointStatus["breaker"]>> = [
  "open",
  "half_open",
  "closed"
]

const latest = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined ? b : b === undefined ? a : Math.max(a, b)

/** The mean over the threads that have measured one, by how much each has asked. */
const meanLatency = (rows: ReadonlyArray<EndpointStatus>): number | undefined => {
  let [sum, shares] = [0, 0]
  for (const { ewma, requests } of rows) {
    if (ewma === undefined) continue
    const share = Math.max(1, requests)
    sum += ewma * share
    shares += share
  }
  return shares === 0 ? undefined : sum / shares
}

/** What each thread carries. */
export const loadsOf = (answers: ReadonlyArray<AskedRows>): ReadonlyArray<PlaneLoad> =>
  ofKind(answers, "load").map(({ load }) => load)

/** The same of all together. */
export const loadOf = (
  answers: ReadonlyArray<AskedRows>
): Pick<PlaneLoad, "inbound" | "outbound" | "serving" | "sockets"> =>
  loadsOf(answers).reduce(
    (sum, load) => ({
      inbound: sum.inbound + load.inbound,
      outbound: sum.outbound + load.outbound,
      serving: sum.serving + load.serving,
      sockets: sum.sockets + load.sockets
    }),
    { inbound: 0, outbound: 0, serving: 0, sockets: 0 }
  )

/** Ended calls by service, and attempts by endpoint. */
export const totalsOf = (answers: ReadonlyArray<AskedRows>): ReadonlyMap<string, number> => {
  const all = new Map<string, number>()
  for (const { totals } of ofKind(answers, "totals")) {
    for (const [key, count] of totals) all.set(key, (all.get(key) ?? 0) + count)
  }
  return all
}

/** Connections that carry links. */
export const linkCount = (answers: ReadonlyArray<AskedRows>): number =>
  ofKind(answers, "totals").reduce((sum, { links }) => sum + links, 0)

/**
 * The ways to each peer: the connection of the mesh plane, which says how it is with the peer, and
 * the links of all threads, which carry the calls.
 */
export const linkRows = (
  connections: ReadonlyArray<ConnectionStatus>,
  answers: ReadonlyArray<AskedRows>,
  addressesOf: (peer: PeerKey) => ReadonlyArray<string>
): ReadonlyArray<PeerLinkStatus> => {
  const rows = new Map<PeerKey, PeerLinkStatus>()
  for (const { peer, reason, since, state, wanted } of connections) {
    rows.set(peer, {
      ...{ peer, state, reason, since, wanted, addresses: addressesOf(peer) },
      ...{ rtt: undefined, exchanges: 0, serving: 0, bytesIn: 0, bytesOut: 0 }
    })
  }
  for (const answer of ofKind(answers, "links")) {
    for (const row of answer.rows) {
      const known = rows.get(row.peer)
      rows.set(row.peer, known === undefined ? row : addLinks(known, row))
    }
  }
  return [...rows.values()]
}

const addLinks = (a: PeerLinkStatus, b: PeerLinkStatus): PeerLinkStatus => ({
  ...a,
  state: linkRank.find((state) => a.state === state || b.state === state) ?? a.state,
  rtt: a.rtt === undefined ? b.rtt : b.rtt === undefined ? a.rtt : Math.min(a.rtt, b.rtt),
  exchanges: a.exchanges + b.exchanges,
  serving: a.serving + b.serving,
  bytesIn: a.bytesIn + b.bytesIn,
  bytesOut: a.bytesOut + b.bytesOut,
  wanted: a.wanted || b.wanted,
  reason: a.reason ?? b.reason
})

/** A thread that has no link, because nobody calls through it, says nothing of the peer. */
const linkRank: ReadonlyArray<PeerLinkStatus["state"]> = ["draining", "up", "connecting", "down"]
