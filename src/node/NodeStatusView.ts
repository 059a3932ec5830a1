/** How this node is, for people: itself, what it has open, who is attached, and how the mesh looks from here. */
import type { MemberStatus } from "../admin/MemberModel.ts"
import type { NodeStatus, ReadinessItem } from "../admin/NodeModel.ts"
import type { ServiceStatus } from "../admin/ServiceModel.ts"
import type { NodeConfig } from "../config/NodeConfig.ts"
import type { ActorStatus } from "../mesh/actor/Supervisor.ts"
import type { StorageTrouble } from "../mesh/keys/StorageTrouble.ts"
import { renewersOf } from "../mesh/trust/Nearness.ts"
import type { IdentityCell, NodeIdentity } from "../mesh/trust/NodeIdentity.ts"
import { maxDepth } from "../mesh/trust/SignedChain.ts"
import { formatCaller, hostCaller, serviceCaller, spiffeIdOf } from "../model/Caller.ts"
import { maySpeakFor } from "../model/Session.ts"
import type { Ticker } from "../model/Time.ts"
import type { PeerLinkStatus } from "../request/link/LinkPool.ts"
import type { AskedRows, PlaneLoad } from "../request/PlaneQuestions.ts"
import type { Telemetry } from "../telemetry/Telemetry.ts"
import type { Attached } from "./AttachedPrograms.ts"
import { auditFileOf } from "./AuditKeeper.ts"
import type { Drain } from "./Drain.ts"
import type { OpenListener } from "./Listeners.ts"
import type { MeshNames } from "./MeshNames.ts"
import type { MeshPlane } from "./MeshPlane.ts"
import type { RequestThreads } from "./RequestThreads.ts"
import type { SocketRoom } from "./SocketRoom.ts"
import { loadOf, loadsOf } from "./ThreadRows.ts"
import type { ThreadStatus } from "./ThreadSlot.ts"

export interface NodeStatusOptions {
  readonly config: NodeConfig
  readonly configPath: string | undefined
  readonly version: string
  readonly identity: IdentityCell
  readonly ticker: Ticker
  readonly telemetry: Telemetry
  readonly plane: MeshPlane
  readonly threads: RequestThreads
  readonly drain: Drain
  readonly actors: () => ReadonlyArray<ActorStatus>
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

/** Rows that it counts, of what the request threads have answered. */
export interface CountedRows {
  readonly services: (answers: ReadonlyArray<AskedRows>) => ReadonlyArray<ServiceStatus>
  readonly links: (answers: ReadonlyArray<AskedRows>) => ReadonlyArray<PeerLinkStatus>
  readonly members: (links: ReadonlyArray<PeerLinkStatus>) => ReadonlyArray<MemberStatus>
}

/** What this node may do for those who want in. */
export const admitStatus = ({ authority }: NodeIdentity): NodeStatus["certificate"]["admits"] =>
  authority === undefined
    ? null
    : {
        depth: authority.depth,
        maxDepth,
        untilAt: Number.isFinite(authority.notAfter) ? authority.notAfter : null
      }

/** The node is up since this was made. */
export const makeNodeStatusView = (
  options: NodeStatusOptions,
  rows: CountedRows
): ((answers: ReadonlyArray<AskedRows>) => NodeStatus) => {
  const { config, identity, plane, telemetry, threads, ticker } = options
  const startedAt = ticker.wall()
  const started = ticker.now()
  return (answers) => {
    const { certificate, name, mesh, meshName, peer } = identity.current
    const signers = plane.signers()
    const able = renewersOf(identity.current, signers, ticker.wall()).length
    const { rss, heapUsed, heapTotal, external } = process.memoryUsage()
    const all = rows.services(answers)
    const links = rows.links(answers)
    const load = loadOf(answers)
    return {
      node: name,
      peer,
      mesh: { id: mesh, name: meshName },
      version: options.version,
      zone: config.node.zone ?? null,
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
        checkedAt: checkedAt ?? null,
        by: by.map((one) => plane.nameOf(one))
      })),
      proxy: options.proxy() ?? null,
      names: (options.names && { ...options.names, listening: options.names.listening() }) ?? null,
      callers: options.callers().map(({ address, as }) => ({
        address,
        as: as ?? null,
        id: spiffeIdOf(as === undefined ? hostCaller(name) : serviceCaller(as), mesh),
        granted: as === undefined || maySpeakFor(plane.ownRights(), as)
      })),
      attach: options.doors().map(({ address }) => address),
      programs: options.attached().map((program) => ({
        name: program.name,
        pid: program.pid ?? null,
        software: program.software ?? null,
        address: program.address,
        as: formatCaller(program.identity),
        sinceAt: program.since,
        serves: program.offers.map(({ healthy, reason, service }) => ({
          ...{ service, healthy, reason }
        }))
      })),
      configPath: options.configPath ?? null,
      dataDir: config.node.dataDir,
      control: options.control() ?? null,
      auditFile: auditFileOf(config) ?? null,
      dataDirProblem: options.trouble.problem ?? null,
      certificate: {
        expiresAt: certificate.notAfter,
        renewAt: plane.renewal.nextAt() ?? null,
        renewalError: plane.renewal.problem() ?? null,
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
        .map((finding) => ({ ...finding, service: finding.service ?? null })),
      actors: options.actors().map((actor) => ({ ...actor, lastError: actor.lastError ?? null })),
      telemetry: telemetry.exportStatus(),
      counts: {
        members: rows.members(links).filter(({ state }) => state === "alive").length,
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
}

const threadRows = (
  threads: ReadonlyArray<ThreadStatus>,
  loads: ReadonlyArray<PlaneLoad>
): NodeStatus["threads"] =>
  threads.map(({ index, lastError, restarts, since, state }) => ({
    ...{ index, state, restarts, sinceAt: since, lastError: lastError ?? null },
    loopDelayMs: loads.find((load) => load.index === index)?.loopDelay ?? null
  }))
