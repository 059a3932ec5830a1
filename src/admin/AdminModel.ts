/**
 * What a node tells its operator, as Schemas: the admin API's JSON, which the commands and the
 * dashboard use and nothing else. Fields named …At are wall clock in milliseconds since 1970,
 * …Ms are lengths of time in milliseconds; null means not known or not applicable. Fields may be
 * added; those here keep their meaning.
 */
import { Schema } from "effect"
import { MeshId, NodeName, PeerKey, ServiceName } from "../model/Names.ts"
import { Protocol } from "../model/NodeRecord.ts"

const Count = Schema.Int.pipe(Schema.nonNegative())
const Rate = Schema.NullOr(Schema.Number)
const Instant = Schema.Number
const Text = Schema.NullOr(Schema.String)

/** One thing that must be so before traffic should come here. */
export const ReadinessItem = Schema.Struct({
  name: Schema.String,
  ready: Schema.Boolean,
  /** What it waits for, or how it is. */
  detail: Schema.String
})
export type ReadinessItem = typeof ReadinessItem.Type

export const ActorStatus = Schema.Struct({
  name: Schema.String,
  state: Schema.Literal("running", "restarting", "failed"),
  /** Since the start of the process. */
  restarts: Count,
  /** Messages waiting. */
  mailbox: Count,
  dropped: Count,
  lastError: Text
})
export type ActorStatus = typeof ActorStatus.Type

export const CertificateStatus = Schema.Struct({
  expiresAt: Instant,
  /** When renewal is next tried. */
  renewAt: Schema.NullOr(Instant),
  /** Why the last renewal failed. */
  renewalError: Text,
  services: Schema.Array(Schema.String),
  capabilities: Schema.Array(Schema.String)
})

/** Traces on their way to the collector. */
export const ExportStatus = Schema.Struct({
  collector: Text,
  /** Null: nothing was sent yet, or there is no collector. */
  reachable: Schema.NullOr(Schema.Boolean),
  dropped: Count,
  lastError: Text
})

/** Open files and sockets of the node's process; null where the system does not tell. */
export const DescriptorStatus = Schema.Struct({
  limit: Schema.NullOr(Count),
  open: Schema.NullOr(Count),
  /** Connections of clients and to programs together: the most there can be, and those there are. */
  sockets: Schema.NullOr(Count),
  socketsOpen: Count,
  /** What to do, when that is little. */
  problem: Text
})

export const NodeStatus = Schema.Struct({
  node: NodeName,
  peer: PeerKey,
  mesh: Schema.Struct({ id: MeshId, name: Schema.String }),
  version: Schema.String,
  zone: Text,
  /** `drained`: still here, nothing in flight, nothing new taken. */
  state: Schema.Literal("starting", "serving", "draining", "drained", "leaving"),
  startedAt: Instant,
  uptimeMs: Schema.Number,
  /** The node's wall clock when it answered. */
  nowAt: Instant,
  /** Where other nodes connect, without the peer id. */
  addresses: Schema.Array(Schema.String),
  proxy: Text,
  configPath: Text,
  dataDir: Schema.String,
  /** What of it cannot be written. Absent: a node from before this was told. */
  dataDirProblem: Schema.optional(Text),
  certificate: CertificateStatus,
  readiness: Schema.Array(ReadinessItem),
  actors: Schema.Array(ActorStatus),
  telemetry: ExportStatus,
  counts: Schema.Struct({
    /** Alive, this node included. */
    members: Count,
    services: Count,
    /** Healthy ones, mesh-wide. */
    endpoints: Count,
    links: Count,
    /** Exchanges in flight, both directions. */
    inFlight: Count
  }),
  /** Bytes. */
  memory: Schema.Struct({ rss: Count, heapUsed: Count, heapTotal: Count, external: Count }),
  /** What the limit of open files allows. Absent: a node from before this was told. */
  descriptors: Schema.optional(DescriptorStatus),
  /** How late timers fire: the 99th percentile of the last minute. */
  loopDelayMs: Rate
})
export type NodeStatus = typeof NodeStatus.Type

export const MemberStatus = Schema.Struct({
  node: NodeName,
  peer: PeerKey,
  self: Schema.Boolean,
  state: Schema.Literal("alive", "suspect", "dead", "left"),
  incarnation: Count,
  zone: Text,
  addresses: Schema.Array(Schema.String),
  /** In this state since. */
  sinceAt: Instant,
  /** Null: this very node. */
  link: Schema.NullOr(Schema.Literal("open", "connecting", "closed")),
  rttMs: Rate,
  software: Text,
  /** Its record as held here. */
  record: Schema.NullOr(
    Schema.Struct({
      epoch: Count,
      version: Count,
      signedAt: Instant,
      /** `stale`: it said it has a newer one. `unreachable`: cannot be asked. */
      sync: Schema.Literal("synced", "stale", "unreachable"),
      /** Since the last time both sides were seen to be equal. */
      checkedMs: Rate
    })
  )
})
export type MemberStatus = typeof MemberStatus.Type

export const ServiceStatus = Schema.Struct({
  name: ServiceName,
  protocol: Protocol,
  endpoints: Schema.Struct({ total: Count, healthy: Count }),
  nodes: Schema.Array(NodeName),
  /** Share of calls from this node that succeeded, 0–1; null without calls. */
  success: Rate,
  /** Calls per second from this node. */
  rps: Schema.Number,
  p50Ms: Rate,
  p95Ms: Rate,
  p99Ms: Rate
})
export type ServiceStatus = typeof ServiceStatus.Type

export const EndpointStatus = Schema.Struct({
  /** `<peer>/<endpoint id>` */
  key: Schema.String,
  node: NodeName,
  peer: PeerKey,
  endpoint: Schema.String,
  zone: Text,
  local: Schema.Boolean,
  /** As its owner's health checks say. */
  healthy: Schema.Boolean,
  draining: Schema.Boolean,
  member: Schema.Literal("alive", "suspect", "dead"),
  weight: Count,
  /** As this node judges it; null when it was never called from here. */
  breaker: Schema.NullOr(Schema.Literal("closed", "open", "half_open", "off")),
  /** Until when, when ejected. */
  ejectedUntilAt: Schema.NullOr(Instant),
  inFlight: Count,
  /** The balancer's latency estimate. */
  ewmaMs: Rate,
  success: Rate,
  rps: Schema.Number
})
export type EndpointStatus = typeof EndpointStatus.Type

export const LinkStatus = Schema.Struct({
  node: Schema.NullOr(NodeName),
  peer: PeerKey,
  direction: Schema.Literal("inbound", "outbound"),
  state: Schema.Literal("open", "connecting", "closed"),
  address: Text,
  rttMs: Rate,
  /** In flight. */
  exchanges: Count,
  bytesIn: Count,
  bytesOut: Count,
  sinceAt: Instant,
  lastError: Text
})
export type LinkStatus = typeof LinkStatus.Type

export const Readiness = Schema.Struct({
  ready: Schema.Boolean,
  items: Schema.Array(ReadinessItem)
})

/** A drain that has begun: it was announced, and goes on by itself. */
export const DrainResult = Schema.Struct({
  inFlight: Count,
  /** Members that have confirmed that they send nothing new. */
  acknowledged: Count,
  members: Count,
  deadlineMs: Schema.Number
})
export type DrainResult = typeof DrainResult.Type

export const LeaveResult = Schema.Struct({
  /** Members that were told. */
  told: Count
})
export type LeaveResult = typeof LeaveResult.Type

export const ReloadResult = Schema.Struct({
  /** What took effect, one line each; empty: nothing had changed. */
  changes: Schema.Array(Schema.String),
  /** What did not, and why. */
  warnings: Schema.Array(Schema.String)
})
export type ReloadResult = typeof ReloadResult.Type

export const InviteRequest = Schema.Struct({
  /** Service names and patterns the new node may offer. */
  services: Schema.Array(Schema.String.pipe(Schema.maxLength(64))).pipe(
    Schema.minItems(1),
    Schema.maxItems(64)
  ),
  capabilities: Schema.Array(Schema.Literal("admit", "policy", "revoke")),
  ttlMs: Schema.Int.pipe(Schema.positive())
})
export type InviteRequest = typeof InviteRequest.Type

export const InviteResult = Schema.Struct({
  token: Schema.String,
  expiresAt: Instant,
  bootstrap: Schema.Array(Schema.String)
})
export type InviteResult = typeof InviteResult.Type
