/** How a node is, as Schemas of the admin API: what `skein status` and `doctor` show. */
import { Schema } from "effect"
import { findingKinds } from "../mesh/catalogue/MeshFindings.ts"
import { MeshId, NodeName, PeerKey, ServiceName } from "../schema/NamesSchema.ts"

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

export const Readiness = Schema.Struct({
  ready: Schema.Boolean,
  items: Schema.Array(ReadinessItem)
})

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

/** Services under names that programs just use. */
export const NamesStatus = Schema.Struct({
  /** `host:port`, by UDP and TCP. */
  address: Schema.String,
  /** `mesh`: payments.mesh is the service payments. */
  suffix: Schema.String,
  /** Other servers are asked for what is none of the mesh's. */
  forwards: Schema.Boolean,
  /** Services that were asked for, and are listened for at an address of their own. */
  listening: Count
})
export type NamesStatus = typeof NamesStatus.Type

/** The right to let others in and to renew their certificates. */
export const AdmitStatus = Schema.Struct({
  /** Delegations between the root and what this node signs; 0 with the root key at hand. */
  depth: Count,
  /** With as many it can pass the right on no further. */
  maxDepth: Count,
  /** When the right ends; null: never. */
  untilAt: Schema.NullOr(Instant)
})

/** A local port whose clients speak for a service, or (null) for the host. */
export const CallerStatus = Schema.Struct({
  /** `host:port`, or `unix:/path`. */
  address: Schema.String,
  as: Text,
  /** The same as a SPIFFE ID. */
  id: Schema.String,
  /** The certificate lets this node speak for it; else its calls are refused. */
  granted: Schema.Boolean
})
export type CallerStatus = typeof CallerStatus.Type

/** A program that is attached to this node. */
export const ProgramStatus = Schema.Struct({
  /** What it is called, as it says. */
  name: Schema.String,
  pid: Schema.NullOr(Schema.Int),
  /** Version of its library. */
  software: Text,
  /** Where it came in: `unix:/path`, or `host:port`. */
  address: Schema.String,
  /** For whom its calls speak: `orders`, or `host/NAME`. */
  as: Schema.String,
  /** Attached since. */
  sinceAt: Instant,
  serves: Schema.Array(
    Schema.Struct({ service: ServiceName, healthy: Schema.Boolean, reason: Schema.String })
  )
})
export type ProgramStatus = typeof ProgramStatus.Type

export const CertificateStatus = Schema.Struct({
  expiresAt: Instant,
  /** When renewal is next tried. */
  renewAt: Schema.NullOr(Instant),
  /** Why the last renewal failed. */
  renewalError: Text,
  services: Schema.Array(Schema.String),
  /** What it may speak for beside them. */
  speaks: Schema.optionalWith(Schema.Array(Schema.String), { default: () => [] }),
  capabilities: Schema.Array(Schema.String),
  /**
   * Connected members that could renew it, this node among them when it may sign for itself. Null: nobody
   * was met yet.
   */
  renewers: Schema.optionalWith(Schema.NullOr(Count), { default: () => null }),
  /** Null: this node lets nobody in. */
  admits: Schema.optionalWith(Schema.NullOr(AdmitStatus), { default: () => null })
})

/** Traces on their way to the collector. */
export const ExportStatus = Schema.Struct({
  collector: Text,
  /** Null: nothing was sent yet, or there is no collector. */
  reachable: Schema.NullOr(Schema.Boolean),
  dropped: Count,
  lastError: Text
})

/** Something of another node that this one does not take because of time. */
export const RefusedByTime = Schema.Struct({
  node: Schema.String,
  peer: PeerKey,
  /** `certificate`: shown at a connection, which one of the two then refused. */
  what: Schema.Literal("record", "statement", "certificate"),
  count: Count,
  sinceAt: Instant,
  lastAt: Instant,
  detail: Schema.String
})
export type RefusedByTime = typeof RefusedByTime.Type

/** This node's clock beside the others', as pings tell. */
export const ClockStatus = Schema.Struct({
  /** How far it is ahead of the median of the others, negative when behind; null: not known. */
  aheadMs: Rate,
  /** Others whose clocks are known, and those among them that agree with the median. */
  measured: Count,
  agreeing: Count,
  /** Within the last ten minutes. */
  refused: Schema.Array(RefusedByTime)
})
export type ClockStatus = typeof ClockStatus.Type

/** Where this node tells others that it is reached, and what came of it when they tried. */
export const AnnouncedAddress = Schema.Struct({
  /** Multiaddr without the peer id. */
  address: Schema.String,
  /** It stands in the config (`node.announce`); else it is an address of the host. */
  configured: Schema.Boolean,
  /** `untried`: no member has said anything for sure yet. One that reaches it is enough. */
  state: Schema.Literal("untried", "reached", "unreached"),
  /** When a member tried last. */
  checkedAt: Schema.NullOr(Instant),
  /** Names: the member that reached it, or those that did not. */
  by: Schema.Array(Schema.String)
})
export type AnnouncedAddress = typeof AnnouncedAddress.Type

/** What is wrong between nodes; the same on every node that has the same records. */
export const MeshFinding = Schema.Struct({
  kind: Schema.Literal(...findingKinds),
  service: Schema.NullOr(ServiceName),
  /** Whom it is about. */
  nodes: Schema.Array(NodeName),
  /** What is wrong, and what follows from it. */
  message: Schema.String,
  hint: Schema.String
})
export type MeshFinding = typeof MeshFinding.Type

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

/** A thread that carries requests. */
export const ThreadStatus = Schema.Struct({
  /** From 0. */
  index: Count,
  state: Schema.Literal("starting", "running", "restarting"),
  /** Lives after the first. */
  restarts: Count,
  /** In this state since. */
  sinceAt: Instant,
  /** What ended its last life. */
  lastError: Text,
  /** How late its timers fire: the 99th percentile since it began. Null: it did not answer in time. */
  loopDelayMs: Rate
})
export type ThreadStatus = typeof ThreadStatus.Type

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
  /** What other nodes are told, without the peer id. */
  addresses: Schema.Array(Schema.String),
  /** What is open on this host for other nodes. */
  listening: Schema.optionalWith(Schema.Array(Schema.String), { default: () => [] }),
  /** The same as `addresses`, with what is known of each. */
  announced: Schema.optionalWith(Schema.Array(AnnouncedAddress), { default: () => [] }),
  proxy: Text,
  /** The name server; null: it is off. */
  names: Schema.optionalWith(Schema.NullOr(NamesStatus), { default: () => null }),
  /** Further local ports, and for whom their clients speak. */
  callers: Schema.optionalWith(Schema.Array(CallerStatus), { default: () => [] }),
  /** Those of `callers` where programs attach. Absent: a node from before this was told. */
  attach: Schema.optionalWith(Schema.Array(Schema.String), { default: () => [] }),
  /** Programs that are attached. Absent: a node from before they could be. */
  programs: Schema.optionalWith(Schema.Array(ProgramStatus), { default: () => [] }),
  configPath: Text,
  dataDir: Schema.String,
  /**
   * Path of the unix socket at which it takes changes; null: there is none for now. Absent: a node from
   * before changes needed one.
   */
  control: Schema.optional(Text),
  /** Null: it keeps none. Absent: a node from before there was one. */
  auditFile: Schema.optional(Text),
  /** What of it cannot be written. Absent: a node from before this was told. */
  dataDirProblem: Schema.optional(Text),
  certificate: CertificateStatus,
  clock: Schema.optionalWith(ClockStatus, {
    default: () => ({ aheadMs: null, measured: 0, agreeing: 0, refused: [] })
  }),
  readiness: Schema.Array(ReadinessItem),
  /** Those that carry requests. Absent: a node from before there were any. */
  threads: Schema.optionalWith(Schema.Array(ThreadStatus), { default: () => [] }),
  findings: Schema.Array(MeshFinding),
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
  /** How late timers of the mesh thread fire: the 99th percentile since it began. */
  loopDelayMs: Rate
})
export type NodeStatus = typeof NodeStatus.Type
