/** What a running node tells its operator: the admin API's view of everything there is. */
import { Effect, Runtime, type Scope } from "effect"
import { AdminNotFound } from "../admin/AdminError.ts"
import type { AdminSource } from "../admin/AdminSource.ts"
import type { LinkStatus } from "../admin/MemberModel.ts"
import type { NodeStatus, ReadinessItem } from "../admin/NodeModel.ts"
import type { EndpointStatus, ServiceStatus } from "../admin/ServiceModel.ts"
import type { NodeConfig } from "../config/NodeConfig.ts"
import type { ActorStatus } from "../mesh/actor/Supervisor.ts"
import { ticking } from "../mesh/actor/Ticking.ts"
import type { StorageTrouble } from "../mesh/keys/StorageTrouble.ts"
import { renewersOf } from "../mesh/trust/Nearness.ts"
import type { IdentityCell, NodeIdentity } from "../mesh/trust/NodeIdentity.ts"
import { maxDepth } from "../mesh/trust/SignedChain.ts"
import { formatCaller, hostCaller, serviceCaller, spiffeIdOf } from "../model/Caller.ts"
import type { LeftOut, ServiceView } from "../model/MeshView.ts"
import type { PeerKey } from "../model/Names.ts"
import { maySpeakFor } from "../model/Session.ts"
import type { Ticker } from "../model/Time.ts"
import type { PeerLinkStatus } from "../request/link/LinkPool.ts"
import type { AskedRows, PlaneLoad, Question } from "../request/PlaneQuestions.ts"
import type { Telemetry } from "../telemetry/Telemetry.ts"
import type { AccessRules } from "./AccessRules.ts"
import { makeAccessViews } from "./AccessViews.ts"
import { ActorMetrics } from "./ActorMetrics.ts"
import { makeActorView } from "./ActorViews.ts"
import type { Attached } from "./AttachedPrograms.ts"
import { auditFileOf } from "./AuditKeeper.ts"
import type { Drain } from "./Drain.ts"
import type { HostActors } from "./HostActors.ts"
import type { OpenListener } from "./Listeners.ts"
import { memberRows } from "./MemberRows.ts"
import type { MeshNames } from "./MeshNames.ts"
import type { MeshPlane } from "./MeshPlane.ts"
import { linkStates, observeNode } from "./NodeMetrics.ts"
import { askable, peerRows } from "./PeerRows.ts"
import type { NodeOffer } from "./ProgramServices.ts"
import { noteEvery, noteSlack, RateMeter } from "./RateMeter.ts"
import type { RequestThreads } from "./RequestThreads.ts"
import { revocationRow } from "./RevokeControl.ts"
import type { SocketRoom } from "./SocketRoom.ts"
import {
  accessUse,
  askPatience,
  endpointRows,
  linkCount,
  linkRows,
  loadOf,
  loadsOf,
  serviceRows,
  totalsOf
} from "./ThreadRows.ts"
import type { ThreadStatus } from "./ThreadSlot.ts"

export interface NodeSourceOptions {
  readonly config: NodeConfig
  readonly configPath: string | undefined
  readonly version: string
  readonly identity: IdentityCell
  readonly ticker: Ticker
  readonly telemetry: Telemetry
  readonly plane: MeshPlane
  readonly threads: RequestThreads
  readonly accessRules: AccessRules
  readonly drain: Drain
  readonly actors: () => ReadonlyArray<ActorStatus>
  /** Of this host's programs. */
  readonly programActors: HostActors
  readonly programOffers: () => ReadonlyArray<Pick<NodeOffer, "id" | "service">>
  readonly readiness: () => ReadonlyArray<ReadinessItem>
  readonly room: SocketRoom
  readonly trouble: StorageTrouble
  readonly proxy: () => string | undefined
  readonly names: MeshNames | undefined
  /** Path of the socket at which it takes changes. */
  readonly control: () => string | undefined
  readonly callers: () => ReadonlyArray<OpenListener>
  /** Of those, where programs attach. */
  readonly doors: () => ReadonlyArray<OpenListener>
  readonly attached: () => ReadonlyArray<Attached>
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

const admitStatus = ({ authority }: NodeIdentity): NodeStatus["certificate"]["admits"] =>
  authority === undefined
    ? null
    : {
        depth: authority.depth,
        maxDepth,
        untilAt: Number.isFinite(authority.notAfter) ? authority.notAfter : null
      }

const orNull = <A>(value: A | undefined): A | null => value ?? null

/** What each node says whose endpoints are left out of a service. */
const leftOutNodes = ({ leftOut = [] }: ServiceView): ServiceStatus["leftOut"] => {
  const said = new Map(leftOut.map(({ endpoint, protocol }) => [endpoint.node, protocol]))
  return Array.from(said, ([node, protocol]) => ({ node, protocol }))
}

/** Nobody calls it, so nothing is known but what its owner says. */
const leftOutStatus = ({ endpoint, protocol }: LeftOut): EndpointStatus => {
  const { key, node, peer, zone, local, healthy, draining, member, weight } = endpoint
  return {
    ...{ key, node, peer, endpoint: endpoint.endpoint, zone: orNull(zone), local, protocol },
    ...{ healthy, draining, member, weight, linked: true, breaker: null },
    ...{ state: "left_out", stateUntilAt: null, inUse: false, inUseDespite: null },
    ...{ ejectedUntilAt: null, inFlight: 0, ewmaMs: null, success: null, rps: 0 }
  }
}

/** As people look for them: by the names of nodes, and by the numbers in an instance's address. */
const byPlace = (a: EndpointStatus, b: EndpointStatus): number =>
  a.node.localeCompare(b.node) ||
  (a.peer < b.peer ? -1 : a.peer > b.peer ? 1 : 0) ||
  a.endpoint.localeCompare(b.endpoint, "en", { numeric: true })

export const makeNodeViews = (
  options: NodeSourceOptions
): Effect.Effect<NodeViews, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { config, identity, plane, telemetry, threads, ticker } = options
    const { catalogue, keeper, view } = plane
    const startedAt = ticker.wall()
    const started = ticker.now()

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

    const services = (answers: ReadonlyArray<AskedRows>): ReadonlyArray<ServiceStatus> => {
      const stats = serviceRows(answers)
      const now = ticker.now()
      return Array.from(view.current.services.values(), (service): ServiceStatus => {
        const one = stats.get(service.name)
        const called = one !== undefined && one.requests > 0
        return {
          name: service.name,
          protocol: service.protocol,
          leftOut: leftOutNodes(service),
          endpoints: {
            total: service.endpoints.length,
            healthy: service.endpoints.filter(
              ({ healthy, draining, member }) => healthy && !draining && member !== "dead"
            ).length,
            inUse: one?.selected ?? 0
          },
          panic: one?.panic ?? false,
          nodes: [...new Set(service.endpoints.map(({ node }) => node))].sort(),
          success: called ? one.successRate : null,
          rps: called ? meter.perSecond(now, service.name, one.requests) : 0,
          p50Ms: called ? one.p50 : null,
          p95Ms: called ? one.p95 : null,
          p99Ms: called ? one.p99 : null
        }
      }).sort((a, b) => a.name.localeCompare(b.name))
    }

    const endpoints: NodeViews["endpoints"] = (service) =>
      Effect.flatMap(ask({ kind: "endpoints", service }), (answers) => {
        const viewed = view.current.services.get(service)
        if (viewed === undefined) {
          const why = plane.troubles.whyMissing(service)
          return new AdminNotFound({
            code: "service_not_found",
            message: `no node of the mesh offers ${service}${why === undefined ? "" : `: ${why}`}`,
            hint:
              why === undefined
                ? "Check the spelling with `skein services`."
                : "See `skein doctor` for the mend."
          })
        }
        const zones = new Map(viewed.endpoints.map(({ key, zone }) => [key, zone]))
        const now = ticker.now()
        const used = endpointRows(answers).map(
          (one): EndpointStatus => ({
            key: one.key,
            node: one.node,
            peer: one.peer,
            endpoint: one.endpoint,
            zone: orNull(zones.get(one.key)),
            local: one.local,
            protocol: viewed.protocol,
            healthy: one.healthy,
            draining: one.draining,
            member: one.member,
            weight: one.weight,
            breaker: one.breaker ?? "off",
            linked: one.linked,
            state: one.standing,
            stateUntilAt: orNull(one.standsUntil),
            inUse: one.selected,
            inUseDespite: orNull(one.despite),
            ejectedUntilAt: orNull(one.ejectedUntil),
            inFlight: one.inFlight,
            ewmaMs: orNull(one.ewma),
            success: one.requests === 0 ? null : 1 - one.failures / one.requests,
            rps: meter.perSecond(now, one.key, one.requests)
          })
        )
        return Effect.succeed([
          ...used.sort(byPlace),
          ...(viewed.leftOut ?? []).map(leftOutStatus).sort(byPlace)
        ])
      })

    const shownLinks = (links: ReadonlyArray<PeerLinkStatus>): ReadonlyArray<LinkStatus> =>
      links.map((link) => ({
        node: orNull(catalogue.current().node(link.peer)?.record.name),
        peer: link.peer,
        direction: link.state === "down" && link.serving > 0 ? "inbound" : "outbound",
        state: linkStates[link.state],
        address: orNull(link.addresses[0]),
        rttMs: orNull(link.rtt),
        exchanges: link.exchanges + link.serving,
        bytesIn: link.bytesIn,
        bytesOut: link.bytesOut,
        sinceAt: link.since,
        lastError: orNull(link.reason)
      }))

    const status = Effect.gen(function* () {
      const answers = (yield* Effect.all(
        [ask({ kind: "services" }), ask({ kind: "links" }), ask({ kind: "load" })],
        { concurrency: "unbounded" }
      )).flat()
      return statusOf(answers)
    })

    const statusOf = (answers: ReadonlyArray<AskedRows>): NodeStatus => {
      const { certificate, name, mesh, meshName, peer } = identity.current
      const signers = plane.signers()
      const able = renewersOf(identity.current, signers, ticker.wall()).length
      const { rss, heapUsed, heapTotal, external } = process.memoryUsage()
      const all = services(answers)
      const links = linksOf(answers)
      const load = loadOf(answers)
      return {
        node: name,
        peer,
        mesh: { id: mesh, name: meshName },
        version: options.version,
        zone: orNull(config.node.zone),
        state: options.drain.state,
        startedAt,
        uptimeMs: ticker.now() - started,
        nowAt: ticker.wall(),
        addresses: plane.host.addresses(),
        listening: plane.host.listening(),
        announced: plane.addressChecks.reports().map(({ address, state, checkedAt, by }) => ({
          address,
          configured: plane.addressChecks.isConfigured,
          state,
          checkedAt: orNull(checkedAt),
          by: by.map((one) => plane.nameOf(one))
        })),
        proxy: orNull(options.proxy()),
        names: orNull(options.names && { ...options.names, listening: options.names.listening() }),
        callers: options.callers().map(({ address, as }) => ({
          address,
          as: orNull(as),
          id: spiffeIdOf(as === undefined ? hostCaller(name) : serviceCaller(as), mesh),
          granted: as === undefined || maySpeakFor(plane.ownRights(), as)
        })),
        attach: options.doors().map(({ address }) => address),
        programs: options.attached().map((program) => ({
          name: program.name,
          pid: orNull(program.pid),
          software: orNull(program.software),
          address: program.address,
          as: formatCaller(program.identity),
          sinceAt: program.since,
          serves: program.offers.map(({ healthy, reason, service }) => ({
            ...{ service, healthy, reason }
          }))
        })),
        configPath: orNull(options.configPath),
        dataDir: config.node.dataDir,
        control: orNull(options.control()),
        auditFile: orNull(auditFileOf(config)),
        dataDirProblem: orNull(options.trouble.problem),
        certificate: {
          expiresAt: certificate.notAfter,
          renewAt: orNull(plane.renewal.nextAt()),
          renewalError: orNull(plane.renewal.problem()),
          // Whoever has met nobody cannot say.
          renewers: able === 0 && signers.peers.length === 0 ? null : able,
          services: certificate.services,
          speaks: certificate.speaks ?? [],
          capabilities: certificate.capabilities,
          admits: admitStatus(identity.current)
        },
        clock: plane.clockReport.status(),
        readiness: options.readiness(),
        findings: plane.troubles
          .findings()
          .map((finding) => ({ ...finding, service: orNull(finding.service) })),
        actors: options.actors().map((actor) => ({ ...actor, lastError: orNull(actor.lastError) })),
        telemetry: telemetry.exportStatus(),
        counts: {
          members: members(links).filter(({ state }) => state === "alive").length,
          services: all.length,
          endpoints: all.reduce((sum, one) => sum + one.endpoints.healthy, 0),
          links: links.filter(({ state }) => state === "up").length,
          inFlight: load.inbound + load.outbound
        },
        memory: { rss, heapUsed, heapTotal, external },
        descriptors: options.room.status(load.sockets),
        threads: threadRows(threads.status(), loadsOf(answers)),
        loopDelayMs: telemetry.loopDelay()
      }
    }

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
      endpoints,
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

const threadRows = (
  threads: ReadonlyArray<ThreadStatus>,
  loads: ReadonlyArray<PlaneLoad>
): NodeStatus["threads"] =>
  threads.map(({ index, lastError, restarts, since, state }) => ({
    ...{ index, state, restarts, sinceAt: since, lastError: orNull(lastError) },
    loopDelayMs: orNull(loads.find((load) => load.index === index)?.loopDelay)
  }))
