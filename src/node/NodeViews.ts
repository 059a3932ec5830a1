/** What a running node tells its operator: the admin API's view of everything there is. */
import { Effect, Runtime, type Scope } from "effect"
import type { AdminSource } from "../admin/AdminSource.ts"
import type { LinkStatus } from "../admin/MemberModel.ts"
import { ticking } from "../mesh/actor/Ticking.ts"
import type { PeerKey } from "../model/Names.ts"
import type { PeerLinkStatus } from "../request/link/LinkPool.ts"
import type { AskedRows, Question } from "../request/PlaneQuestions.ts"
import type { AccessRules } from "./AccessRules.ts"
import { makeAccessViews } from "./AccessViews.ts"
import { ActorMetrics } from "./ActorMetrics.ts"
import { makeActorView } from "./ActorViews.ts"
import type { HostActors } from "./HostActors.ts"
import { memberRows } from "./MemberRows.ts"
import { linkStates, observeNode } from "./NodeMetrics.ts"
import { admitStatus, makeNodeStatusView, type NodeStatusOptions } from "./NodeStatusView.ts"
import { askable, peerRows } from "./PeerRows.ts"
import type { NodeOffer } from "./ProgramServices.ts"
import { noteEvery, noteSlack, RateMeter } from "./RateMeter.ts"
import { revocationRow } from "./RevokeControl.ts"
import { makeServiceViews } from "./ServiceViews.ts"
import { accessUse, askPatience, linkCount, linkRows, totalsOf } from "./ThreadRows.ts"

export interface NodeViewsOptions extends NodeStatusOptions {
  readonly accessRules: AccessRules
  /** Of this host's programs. */
  readonly programActors: HostActors
  readonly programOffers: () => ReadonlyArray<Pick<NodeOffer, "id" | "service">>
}

/** The same for a scrape, which comes every few seconds. */
const collectPatience = 100

export type NodeViews = Pick<
  AdminSource["Type"],
  | "status"
  | "members"
  | "peers"
  | "services"
  | "endpoints"
  | "links"
  | "access"
  | "actors"
  | "metrics"
  | "revoked"
>

export const makeNodeViews = (
  options: NodeViewsOptions
): Effect.Effect<NodeViews, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { identity, plane, telemetry, threads, ticker } = options
    const { catalogue, keeper, view } = plane

    const ask = (question: Question, patience = askPatience) =>
      Effect.promise(() => threads.ask(question, patience))
    const linksOf = (answers: ReadonlyArray<AskedRows>): ReadonlyArray<PeerLinkStatus> =>
      linkRows(keeper.status(), answers, plane.addressesOf)

    const meter = new RateMeter()
    const note = (answers: ReadonlyArray<AskedRows>) => {
      meter.note(ticker.now(), totalsOf(answers))
      options.room.followLinks(linkCount(answers))
    }
    const runFork = Runtime.runFork(yield* Effect.runtime<never>())
    const noteTotals = () => {
      if (!meter.isDue(ticker.now())) return
      threads
        .ask({ kind: "totals" }, askPatience)
        .then(note)
        .catch((defect) => void runFork(Effect.logError("rates were not noted", defect)))
    }
    yield* ticking(ticker, noteEvery, noteTotals, noteSlack)

    const members = (links: ReadonlyArray<PeerLinkStatus>) =>
      memberRows({ ...plane, links }, identity.current.peer)

    const isConnected = (peer: PeerKey) => keeper.isUp(peer)
    const peers: NodeViews["peers"] = ({ all }) =>
      Effect.gen(function* () {
        const asked = askable(members([]), all, isConnected)
        const answers = yield* plane.survey(Array.from(asked))
        // As they are now that all have been asked.
        const rows = members(linksOf(yield* ask({ kind: "links" })))
        const { book } = plane.convergence
        const [own, now] = [plane.figures(), ticker.now()]
        return peerRows({ members: rows, asked, answers, isConnected, book, own, now })
      })

    const shownLinks = (links: ReadonlyArray<PeerLinkStatus>): ReadonlyArray<LinkStatus> =>
      links.map((link) => ({
        node: catalogue.current().node(link.peer)?.record.name ?? null,
        peer: link.peer,
        direction: link.state === "down" && link.serving > 0 ? "inbound" : "outbound",
        state: linkStates[link.state],
        address: link.addresses[0] ?? null,
        rttMs: link.rtt ?? null,
        exchanges: link.exchanges + link.serving,
        bytesIn: link.bytesIn,
        bytesOut: link.bytesOut,
        sinceAt: link.since,
        lastError: link.reason ?? null
      }))

    const { endpoints, services } = makeServiceViews({
      ...{ view, meter },
      whyMissing: (service) => plane.troubles.whyMissing(service),
      now: () => ticker.now()
    })
    const statusOf = makeNodeStatusView(options, { services, links: linksOf, members })
    const status = Effect.gen(function* () {
      const answers = (yield* Effect.all(
        [ask({ kind: "services" }), ask({ kind: "links" }), ask({ kind: "load" })],
        { concurrency: "unbounded" }
      )).flat()
      return statusOf(answers)
    })

    /** As the threads have said for the scrape under way. */
    let scraped: ReadonlyArray<PeerLinkStatus> = []
    observeNode(telemetry.registry, () => ({
      now: ticker.wall(),
      ready: options.drain.state === "serving" && options.readiness().every(({ ready }) => ready),
      members: members(scraped).map(({ state, record }) => ({
        state,
        signedAt: record?.signedAt ?? ticker.wall()
      })),
      links: scraped,
      nameOf: plane.nameOf,
      certificate: {
        expiresAt: identity.current.certificate.notAfter,
        renewalFails: plane.renewal.problem() !== undefined,
        admitsUntil: admitStatus(identity.current)?.untilAt ?? undefined
      },
      announced: plane.addressChecks.reports(),
      catalogue: catalogue.status(),
      refused: plane.refused.kinds,
      findings: plane.troubles.findings(),
      actors: options.actors(),
      threads: threads.status()
    }))

    const actorMetrics = new ActorMetrics(telemetry.registry)
    const metrics = Effect.gen(function* () {
      const [links, actors] = yield* Effect.all(
        [ask({ kind: "links" }, collectPatience), options.programActors.ask({}, collectPatience)],
        { concurrency: "unbounded" }
      )
      scraped = linksOf(links)
      const self = identity.current.peer
      const keys = new Set(
        options.programOffers().map(({ id, service }) => `${self}/${service}/${id}`)
      )
      actorMetrics.note(actors, (key) => keys.has(key))
      return yield* telemetry.prometheus
    })

    return {
      status,
      peers,
      members: Effect.map(ask({ kind: "links" }), (answers) => members(linksOf(answers))),
      services: Effect.map(ask({ kind: "services" }), services),
      endpoints: (service) =>
        Effect.flatMap(ask({ kind: "endpoints", service }), (answers) =>
          endpoints(service, answers)
        ),
      revoked: Effect.sync(() => plane.revocations.current.all.map(revocationRow)),
      links: Effect.map(ask({ kind: "links" }), (answers) => shownLinks(linksOf(answers))),
      access: makeAccessViews({
        self: {
          ...{ peer: identity.current.peer, node: identity.current.name },
          mesh: identity.current.mesh
        },
        settings: () => options.accessRules.current,
        view: () => view.current,
        nodes: () =>
          Array.from(catalogue.current().entries(), ({ record: { name, peer } }) => ({
            ...{ node: name, rights: plane.rightsOf(peer) }
          })),
        use: accessUse(threads),
        survey: plane.accessSurvey
      }),
      actors: makeActorView({
        self: identity.current.peer,
        view: () => view.current,
        here: options.programActors.ask,
        survey: plane.actorSurvey
      }),
      metrics
    }
  })
