/** Services and their endpoints, as Schemas of the admin API: what `skein services` and `endpoints` show. */
import { Schema } from "effect"
import { standingNames } from "../request/outbound/Standing.ts"
import { NodeName, PeerKey, ServiceName } from "../schema/NamesSchema.ts"
import { Protocol } from "../schema/NodeRecordSchema.ts"

const Count = Schema.Int.pipe(Schema.nonNegative())
const Rate = Schema.NullOr(Schema.Number)
const Instant = Schema.Number
const Text = Schema.NullOr(Schema.String)

export const ServiceStatus = Schema.Struct({
  name: ServiceName,
  protocol: Protocol,
  /** Nodes that get no calls because they say another protocol. */
  leftOut: Schema.Array(Schema.Struct({ node: NodeName, protocol: Protocol })),
  endpoints: Schema.Struct({
    total: Count,
    /** As their owners say. */
    healthy: Count,
    /** Those that may get the next request from this node. */
    inUse: Count
  }),
  /** Ejections are disregarded: too few endpoints would be left, or only sick ones. */
  panic: Schema.Boolean,
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
  /** `<peer>/<service>/<endpoint id>` */
  key: Schema.String,
  node: NodeName,
  peer: PeerKey,
  endpoint: Schema.String,
  zone: Text,
  local: Schema.Boolean,
  /** As its node says; another than the service's: left out. */
  protocol: Protocol,
  /** As its owner's health checks say. */
  healthy: Schema.Boolean,
  draining: Schema.Boolean,
  member: Schema.Literal("alive", "suspect", "dead"),
  weight: Count,
  /** As this node judges it; null when it was never called from here. */
  breaker: Schema.NullOr(Schema.Literal("closed", "open", "half_open", "off")),
  /** This node's link to it; false after it broke. */
  linked: Schema.Boolean,
  /** What is in force: the first thing that is held against it, in the order of selection. */
  state: Schema.Literal(...standingNames, "left_out"),
  /** When the state ends by itself; null when time does not end it. */
  stateUntilAt: Schema.NullOr(Instant),
  /** It may get the next request from this node. */
  inUse: Schema.Boolean,
  /** Why it is in use despite its state: too few would be left, or all that is in reach is out. */
  inUseDespite: Schema.NullOr(Schema.Literal("panic", "no_other")),
  /** Until when, when ejected; in a panic that is disregarded, see `inUse`. */
  ejectedUntilAt: Schema.NullOr(Instant),
  inFlight: Count,
  /** The balancer's latency estimate. */
  ewmaMs: Rate,
  success: Rate,
  rps: Schema.Number
})
export type EndpointStatus = typeof EndpointStatus.Type
