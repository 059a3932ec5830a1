/** One program on this host that serves a service: where it is, how it is, and the ways to it. */

import { samePlace } from "../../model/AttachedProgram.ts"
import {
  activeCheck,
  type LocalAddress,
  type LocalService,
  type ProgramProtocol
} from "../../model/LocalService.ts"
import type { ServiceName } from "../../model/Names.ts"
import { type ProgramTls, sameTls } from "../../model/ProgramTls.ts"
import type { EndpointTransport } from "./EndpointStream.ts"
import { type LocalEndpointOptions, transportsTo } from "./EndpointTransports.ts"
import type { InboundMetrics } from "./InboundMetrics.ts"
import type { Places } from "./Places.ts"

/** For status and for the node's record. */
export interface EndpointStatus {
  readonly service: ServiceName
  readonly protocol: ProgramProtocol
  readonly id: string
  readonly host: string
  readonly port: number
  readonly weight: number
  readonly healthy: boolean
  /** Why it is (not) healthy, for people. */
  readonly reason: string
  readonly inFlight: number
  readonly connections: number
  readonly waiting: number
}

const notChecked = "no health check is configured"
const unknownYet = "not checked yet"

export class LocalEndpoint {
  readonly service: ServiceName
  /** What the mesh calls it: `<peer>/<service>/<id>`. */
  readonly key: string
  readonly protocol: ProgramProtocol
  #address: LocalAddress
  readonly #http: EndpointTransport
  readonly #tcp: EndpointTransport
  readonly #metrics: InboundMetrics
  readonly #connectTimeout: number | undefined
  readonly #idleTimeout: number | undefined
  readonly #tls: ProgramTls | undefined
  weight: number
  healthy: boolean
  reason: string
  #inFlight = 0
  /** For each of those, where the program has no connections that could be counted. */
  readonly #places: Places | undefined

  constructor(options: LocalEndpointOptions) {
    const { service, address } = options
    this.service = service.name
    this.key = options.metrics.keyOf(service.name, address.id)
    this.protocol = service.protocol
    this.#address = address
    this.#metrics = options.metrics
    this.#connectTimeout = service.connectTimeout
    this.#idleTimeout = service.idleTimeout
    this.#tls = service.tls
    this.weight = address.weight
    this.healthy = address.program?.healthy ?? activeCheck(address) === undefined
    this.reason = address.program?.reason ?? (this.healthy ? notChecked : unknownYet)
    const { http, places, tcp } = transportsTo(options)
    this.#http = http
    this.#tcp = tcp
    this.#places = places
  }

  /** Exchanges that run on it. */
  get inFlight(): number {
    return this.#inFlight
  }

  begin(): void {
    this.#inFlight++
    this.#places?.takeAnyway()
  }

  over(): void {
    this.#inFlight--
    this.#places?.give()
  }

  /** Its health is what a check says. */
  get checked(): boolean {
    return activeCheck(this.#address) !== undefined
  }

  get id(): string {
    return this.#address.id
  }

  /** Where the program listens. */
  get port(): number {
    return this.#address.port
  }

  /** A `tcp` call to an HTTP service is a tunnel to its port: what CONNECT asks for. */
  transport(kind: "http" | "tcp"): EndpointTransport {
    return kind === "http" ? this.#http : this.#tcp
  }

  /** True when a reload says of this endpoint nothing that its connections depend on. */
  reaches(service: LocalService, address: LocalAddress): boolean {
    const mine = this.#address
    return (
      service.protocol === this.protocol &&
      service.connectTimeout === this.#connectTimeout &&
      service.idleTimeout === this.#idleTimeout &&
      sameTls(service.tls, this.#tls) &&
      address.id === mine.id &&
      address.host === mine.host &&
      address.port === mine.port &&
      (address.program === undefined) === (mine.program === undefined) &&
      samePlace(address.program?.at, mine.program?.at)
    )
  }

  /** The other things a reload may change of it. */
  adopt(address: LocalAddress): void {
    const wasChecked = this.checked
    this.#address = address
    this.weight = address.weight
    if (address.program !== undefined) {
      this.healthy = address.program.healthy
      this.reason = address.program.reason
      return
    }
    if (this.checked === wasChecked) return
    this.healthy = !this.checked
    this.reason = this.healthy ? notChecked : unknownYet
  }

  /** The program is the same; what its last check said stands until the next says otherwise. */
  inheritHealth(earlier: LocalEndpoint): void {
    const { id, host, port } = earlier.#address
    const mine = this.#address
    if (id !== mine.id || host !== mine.host || port !== mine.port) return
    if (!this.checked || !earlier.checked) return
    this.healthy = earlier.healthy
    this.reason = earlier.reason
  }

  /** Takes nothing new: what is in flight finishes, then its connections are closed. */
  retire(): void {
    this.#http.retire()
    this.#tcp.retire()
  }

  publishGauges(): void {
    const cells = this.#metrics.endpoint(this.service, this.id)
    cells.inFlight.set(this.inFlight)
    cells.connections.set(this.#http.connections + this.#tcp.connections)
    cells.waiting.set(this.#http.waiting)
    cells.healthy.set(this.healthy ? 1 : 0)
  }

  status(): EndpointStatus {
    return {
      service: this.service,
      protocol: this.protocol,
      id: this.id,
      host: this.#address.host,
      port: this.#address.port,
      weight: this.weight,
      healthy: this.healthy,
      reason: this.reason,
      inFlight: this.inFlight,
      connections: this.#http.connections + this.#tcp.connections,
      waiting: this.#http.waiting
    }
  }
}
