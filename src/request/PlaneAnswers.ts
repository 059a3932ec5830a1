/** What a request thread answers to people's questions (PlaneQuestions.ts). */
import type { LoopDelay } from "./cells/LoopDelay.ts"
import type { AccessGuard } from "./inbound/AccessGuard.ts"
import type { Inbound } from "./inbound/Inbound.ts"
import type { LinkPool } from "./link/LinkPool.ts"
import type { SessionTransport } from "./link/SessionTransport.ts"
import type { Outbound } from "./outbound/Outbound.ts"
import type { AskedRows, Question } from "./PlaneQuestions.ts"
import type { SocketBudget } from "./socket/SocketBudget.ts"

export interface AnswerSources {
  readonly access: AccessGuard
  readonly index: number
  readonly delay: LoopDelay
  readonly inbound: Inbound
  readonly outbound: Outbound
  readonly pool: LinkPool
  readonly transport: SessionTransport
  readonly sockets: SocketBudget
}

export const answer = (question: Question, sources: AnswerSources): AskedRows => {
  const { access, delay, inbound, index, outbound, pool, sockets, transport } = sources
  switch (question.kind) {
    case "services":
      return { kind: "services", rows: outbound.services() }
    case "endpoints":
      return { kind: "endpoints", rows: outbound.endpoints(question.service) }
    case "links":
      return { kind: "links", rows: pool.status() }
    case "totals":
      return { kind: "totals", totals: totalsOf(outbound), links: transport.counts.links }
    case "access":
      return { kind: "access", use: access.use() }
    case "load":
      return {
        kind: "load",
        load: {
          index,
          loopDelay: delay.p99,
          inbound: inbound.inFlight,
          outbound: outbound.services().reduce((sum, one) => sum + one.inFlight, 0),
          serving: pool.serving(),
          sockets: sockets.held
        }
      }
  }
}

const totalsOf = (outbound: Outbound): ReadonlyMap<string, number> => {
  const totals = new Map<string, number>()
  for (const { service, requests } of outbound.services()) {
    if (requests === 0) continue
    totals.set(service, requests)
    for (const endpoint of outbound.endpoints(service)) {
      totals.set(endpoint.key, endpoint.requests)
    }
  }
  return totals
}
