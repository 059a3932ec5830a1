/** What a running node tells its operator: the admin API's view of everything there is. */
import { Effect, type Scope } from "effect"
import { AdminNotFound } from "../admin/AdminError.ts"
import type {
  EndpointStatus,
  LinkStatus,
  NodeStatus,
  ReadinessItem,
  ServiceStatus
} from "../admin/AdminModel.ts"
import type { AdminSource } from "../admin/AdminSource.ts"
import type { NodeConfig } from "../config/NodeConfig.ts"
import type { ActorStatus } from "../mesh/actor/Supervisor.ts"
import type { StorageTrouble } from "../mesh/keys/StorageTrouble.ts"
import type { IdentityCell, NodeIdentity } from "../mesh/trust/NodeIdentity.ts"
import { maxDepth } from "../mesh/trust/SignedChain.ts"
import type { LeftOut, ServiceView } from "../model/MeshView.ts"
import type { Ticker } from "../model/Time.ts"
import type { Inbound } from "../request/inbound/Inbound.ts"
import type { Outbound } from "../request/outbound/Outbound.ts"
import type { Telemetry } from "../telemetry/Telemetry.ts"
import type { Drain } from "./Drain.ts"
import { memberRows } from "./MemberRows.ts"
import type { MeshPlane } from "./MeshPlane.ts"
import { linkStates, observeNode } from "./NodeMetrics.ts"
import { RateMeter } from "./RateMeter.ts"
import type { SocketRoom } from "./SocketRoom.ts"

export interface NodeSourceOptions {
  readonly config: NodeConfig
  readonly configPath: string | undefined
  readonly version: string
  readonly identity: IdentityCell
  readonly ticker: Ticker
  readonly telemetry: Telemetry
  readonly plane: MeshPlane
  readonly inbound: Inbound
  readonly outbound: Outbound
  readonly drain: Drain
  readonly actors: () => ReadonlyArray<ActorStatus>
  readonly readiness: () => ReadonlyArray<ReadinessItem>
  readonly room: SocketRoom
  readonly trouble: StorageTrouble
  readonly proxy: () => string | undefined
}

export type NodeViews = Pick<
  AdminSource["Type"],
  "status" | "members" | "services" | "endpoints" | "links" | "metrics"
>

const admitStatus = ({ authority }: NodeIdentity): NodeStatus["certificate"]["admits"] =>
  authority === undefined
    ? null
    : {
        depth: authority.delegations.length,
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
    const { config, identity, inbound, outbound, plane, telemetry, ticker } = options
    const { catalogue, links, view } = plane
    const startedAt = ticker.wall()
    const started = ticker.now()

    const meter = new RateMeter()
    const totals = (): ReadonlyMap<string, number> => {
      const all = new Map<string, number>()
      for (const { service, requests } of outbound.services()) {
        all.set(service, requests)
        for (const endpoint of outbound.endpoints(service)) all.set(endpoint.key, endpoint.requests)
      }
      return all
    }
    yield* Effect.forkScoped(
      Effect.forever(
        Effect.zipRight(
          Effect.sync(() => meter.note(ticker.now(), totals())),
          Effect.sleep("1 second")
        )
      )
    )

    const members = () => memberRows(plane, identity.current.peer)

    const services = (): ReadonlyArray<ServiceStatus> => {
      const stats = new Map(outbound.services().map((one) => [one.service, one]))
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
      Effect.suspend(() => {
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
        const used = outbound.endpoints(service).map(
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

    const linkRows = (): ReadonlyArray<LinkStatus> =>
      links.status().map((link) => ({
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

    const status = (): NodeStatus => {
      const { certificate, name, mesh, meshName, peer } = identity.current
      const { rss, heapUsed, heapTotal, external } = process.memoryUsage()
      const all = services()
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
        configPath: orNull(options.configPath),
        dataDir: config.node.dataDir,
        dataDirProblem: orNull(options.trouble.problem),
        certificate: {
          expiresAt: certificate.notAfter,
          renewAt: orNull(plane.renewal.nextAt()),
          renewalError: orNull(plane.renewal.problem()),
          services: certificate.services,
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
          members: members().filter(({ state }) => state === "alive").length,
          services: all.length,
          endpoints: all.reduce((sum, one) => sum + one.endpoints.healthy, 0),
          links: links.status().filter(({ state }) => state === "up").length,
          inFlight:
            inbound.inFlight + outbound.services().reduce((sum, one) => sum + one.inFlight, 0)
        },
        memory: { rss, heapUsed, heapTotal, external },
        descriptors: options.room.status(),
        loopDelayMs: telemetry.loopDelay()
      }
    }

    observeNode(telemetry.registry, () => ({
      now: ticker.wall(),
      ready: options.drain.state === "serving" && options.readiness().every(({ ready }) => ready),
      members: members().map(({ state, record }) => ({
        state,
        signedAt: record?.signedAt ?? ticker.wall()
      })),
      links: links.status(),
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
      actors: options.actors()
    }))

    return {
      status: Effect.sync(status),
      members: Effect.sync(members),
      services: Effect.sync(services),
      endpoints,
      links: Effect.sync(linkRows),
      metrics: telemetry.prometheus
    }
  })
