/**
 * What a node says of itself to the mesh: one record with all its services, replaced whole,
 * signed by the node. Records are ordered by (epoch, version): the epoch is the wall clock in
 * milliseconds at the node's start (never lower than the persisted one plus one), the version
 * counts changes since.
 */
import { Schema } from "effect"
import { NodeName, PeerKey, ServiceName } from "./Names.ts"

export const Protocol = Schema.Literal("http", "grpc", "tcp")
export type Protocol = typeof Protocol.Type

/** Bounds that keep one record, and so the whole catalogue, small. */
export const recordLimits = {
  addresses: 16,
  services: 256,
  endpointsPerService: 64,
  /** Encoded bytes of a signed record. */
  bytes: 64 * 1024
} as const

export const EndpointEntry = Schema.Struct({
  /** Unique within (node, service); by default the index in config order. */
  id: Schema.String.pipe(Schema.minLength(1), Schema.maxLength(64)),
  healthy: Schema.Boolean,
  draining: Schema.Boolean,
  /** Relative share of traffic, 1–1000; 100 is usual. */
  weight: Schema.Int.pipe(Schema.between(1, 1000))
})
export type EndpointEntry = typeof EndpointEntry.Type

export const ServiceEntry = Schema.Struct({
  name: ServiceName,
  protocol: Protocol,
  endpoints: Schema.Array(EndpointEntry).pipe(Schema.maxItems(recordLimits.endpointsPerService))
})
export type ServiceEntry = typeof ServiceEntry.Type

export const NodeRecord = Schema.Struct({
  peer: PeerKey,
  name: NodeName,
  zone: Schema.optional(Schema.String.pipe(Schema.maxLength(128))),
  /** Multiaddrs without the /p2p suffix, most useful first. */
  addresses: Schema.Array(Schema.String.pipe(Schema.maxLength(256))).pipe(
    Schema.maxItems(recordLimits.addresses)
  ),
  epoch: Schema.Int.pipe(Schema.nonNegative()),
  version: Schema.Int.pipe(Schema.nonNegative()),
  /** Wall clock of the owner when it signed this version. */
  signedAt: Schema.Int.pipe(Schema.nonNegative()),
  /** `left` is the owner's own tombstone. */
  state: Schema.Literal("serving", "draining", "left"),
  services: Schema.Array(ServiceEntry).pipe(Schema.maxItems(recordLimits.services)),
  /** Version of the program, for people. */
  software: Schema.String.pipe(Schema.maxLength(64))
})
export type NodeRecord = typeof NodeRecord.Type

/** Positive when `a` is newer than `b`. */
export const compareRecords = (
  a: Pick<NodeRecord, "epoch" | "version">,
  b: Pick<NodeRecord, "epoch" | "version">
): number => (a.epoch === b.epoch ? a.version - b.version : a.epoch - b.epoch)
