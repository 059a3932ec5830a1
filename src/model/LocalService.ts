/** What this host offers to the mesh, as config says it; times are milliseconds. */
import type { ProgramPlace } from "./AttachedProgram.ts"
import type { ServiceName } from "./Names.ts"
import type { Protocol } from "./NodeRecord.ts"
import type { ProgramTls } from "./ProgramTls.ts"

/** How the owner finds out whether an endpoint can serve. */
export type HealthCheck =
  /** `GET path`, healthy when the status is 200–399. `host` is the Host sent; default address. */
  | {
      readonly kind: "http"
      readonly path: string
      readonly host?: string | undefined
      readonly interval: number
      readonly timeout: number
    }
  /** Healthy when a connection is accepted. */
  | { readonly kind: "tcp"; readonly interval: number; readonly timeout: number }
  /** `Check` of grpc.health.v1, healthy when it says SERVING of the service; `""`: of the program. */
  | {
      readonly kind: "grpc"
      readonly service: string
      readonly interval: number
      readonly timeout: number
    }
  /** Always healthy. */
  | { readonly kind: "none" }

/** How a program is that says so itself, and why. */
export interface ProgramHealth {
  readonly healthy: boolean
  readonly reason: string
  /** It is attached to this node. Absent: it is in the plane's own thread. */
  readonly at?: ProgramPlace | undefined
}

export interface LocalAddress {
  /** Unique within the service on this node. */
  readonly id: string
  /** Of a program without a port this is for people: `program`. */
  readonly host: string
  /** 0: the program has none. */
  readonly port: number
  /** It is a program that takes calls without a port. Absent: no. */
  readonly program?: ProgramHealth | undefined
  /** Relative share of traffic, 1–1000. */
  readonly weight: number
  /** Absent: always healthy. */
  readonly health?: HealthCheck | undefined
}

/**
 * What a program speaks. The mesh is told `http` of both versions of HTTP, since its node translates;
 * `auto`: its node finds out which, and callers of its name may also speak TLS to it, or bytes.
 */
export type ProgramProtocol = Protocol | "http2" | "auto"

export interface LocalService {
  readonly name: ServiceName
  readonly protocol: ProgramProtocol
  /** Its programs only speak TLS. Absent: they speak in the clear. */
  readonly tls?: ProgramTls | undefined
  readonly endpoints: ReadonlyArray<LocalAddress>
  /** Where callers reach it under its name. */
  readonly port?: number | undefined
  /** Of `auto`: who says nothing for so long to the port of its name has a server that speaks first, ms. */
  readonly detect?: number | undefined
  /** What the mesh is told of how calls to it are made resilient by default, as written. */
  readonly policy?: Readonly<Record<string, unknown>> | undefined
  /**
   * To get a connection to an endpoint's program, for calls that bring no limit of their own.
   * Default 300 ms: it runs on this host. A call's own limit holds instead, shorter or longer: it is
   * the policy somebody wrote for this service and looks at when a call fails, and a lower limit
   * here would make it untrue where nobody sees why. What patient callers can hold is bounded by
   * the limits of connections and of those that wait.
   */
  readonly connectTimeout?: number | undefined
  /**
   * http: how long a connection with no request on it is kept. Default 30 s.
   * tcp: how long a tunnel may move no byte in either direction. Default: no limit of this node's
   * own. The caller's node ends it by its `timeout.tcpIdle`, and a caller's node that is gone takes
   * its link and all tunnels on it along.
   */
  readonly idleTimeout?: number | undefined
}

export const defaultConnectTimeout = 300
export const defaultPoolIdleTimeout = 30_000

/** The check that is really run: undefined when there is none to run. */
export const activeCheck = (
  address: LocalAddress
): Exclude<HealthCheck, { readonly kind: "none" }> | undefined =>
  address.health === undefined || address.health.kind === "none" ? undefined : address.health
