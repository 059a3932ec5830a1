/**
 * What people ask of a request thread, through the mesh thread: rows for `status`, `services`,
 * `endpoints`, `links`. Each thread answers for itself; node/ThreadRows.ts puts the answers together.
 */
import type { ServiceName } from "../model/Names.ts"
import type { AccessUse } from "./inbound/AccessGuard.ts"
import type { PeerLinkStatus } from "./link/LinkPool.ts"
import type { EndpointStatus, ServiceStats } from "./outbound/Status.ts"

export type Question =
  | { readonly kind: "services" }
  | { readonly kind: "endpoints"; readonly service: ServiceName }
  | { readonly kind: "links" }
  /** Ended calls by service and attempts by endpoint, of which rates are made; and links. */
  | { readonly kind: "totals" }
  | { readonly kind: "load" }
  /** How access rules are used. */
  | { readonly kind: "access" }

export interface PlaneLoad {
  /** Of the thread. */
  readonly index: number
  /** How late its timers fire: the 99th percentile, ms. */
  readonly loopDelay: number
  /** Exchanges of other nodes and of this one that run on programs of this host. */
  readonly inbound: number
  /** Calls of this host's programs that are under way. */
  readonly outbound: number
  /** Exchanges of other nodes that are not answered yet. */
  readonly serving: number
  /** Sockets of clients and of programs. */
  readonly sockets: number
}

export type AskedRows =
  | { readonly kind: "services"; readonly rows: ReadonlyArray<ServiceStats> }
  | { readonly kind: "endpoints"; readonly rows: ReadonlyArray<EndpointStatus> }
  | { readonly kind: "links"; readonly rows: ReadonlyArray<PeerLinkStatus> }
  | {
      readonly kind: "totals"
      readonly totals: ReadonlyMap<string, number>
      /** Connections that carry links. */
      readonly links: number
    }
  | { readonly kind: "load"; readonly load: PlaneLoad }
  | { readonly kind: "access"; readonly use: AccessUse }
