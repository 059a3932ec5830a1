/**
 * What a node says of itself to the mesh: one record with all its services, replaced whole,
 * signed by the node. Records are ordered by (epoch, version): the epoch is the wall clock in
 * milliseconds at the node's start (never lower than the persisted one plus one), the version
 * counts changes since. What of another node is taken for one is in schema/NodeRecordSchema.ts.
 */
import type { NodeName, PeerKey, ServiceName } from "./Names.ts"

export type Protocol = "http" | "grpc" | "tcp"

/** Bounds that keep one record, and so the whole catalogue, small. */
export const recordLimits = {
  addresses: 16,
  services: 256,
  endpointsPerService: 64,
  /** Encoded bytes of a signed record. */
  bytes: 64 * 1024,
  /** What `lifetime` may say, ms. */
  lifetime: { least: 60_000, most: 72 * 3_600_000 }
} as const

export interface EndpointEntry {
  /** Unique within (node, service); by default the index in config order. */
  readonly id: string
  readonly healthy: boolean
  readonly draining: boolean
  /** Relative share of traffic, 1–1000; 100 is usual. */
  readonly weight: number
}

export interface ServiceEntry {
  readonly name: ServiceName
  readonly protocol: Protocol
  readonly endpoints: ReadonlyArray<EndpointEntry>
  /** Where it is called under its name. Absent: 80 of what speaks HTTP, none of TCP. */
  readonly port?: number | undefined
  /**
   * Callers of its name may speak anything to its port, which is told by how they begin; who says nothing for so
   * long has a server that speaks first, ms. Absent: they speak its protocol.
   */
  readonly detect?: number | undefined
  /** How calls to it are made resilient by default, as its node's config says it. */
  readonly policy?: Readonly<Record<string, unknown>> | undefined
}

export interface NodeRecord {
  readonly peer: PeerKey
  readonly name: NodeName
  readonly zone?: string | undefined
  /** Multiaddrs without the /p2p suffix, most useful first. */
  readonly addresses: ReadonlyArray<string>
  readonly epoch: number
  readonly version: number
  /** Wall clock of the owner when it signed this version. */
  readonly signedAt: number
  /** `left` is the owner's own tombstone. */
  readonly state: "serving" | "draining" | "left"
  readonly services: ReadonlyArray<ServiceEntry>
  /** It may end at any time and not come back: once dead, it is off the lists soon. Absent: no. */
  readonly ephemeral?: boolean | undefined
  /**
   * So long after it was signed it is over, ms: its owner signs anew well before that. Absent: as long as any; so
   * it is with readers that do not know this.
   */
  readonly lifetime?: number | undefined
  /** Version of the program, for people. */
  readonly software: string
}
