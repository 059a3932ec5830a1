/** One program on this host that serves a service: where it is, how it is, and the ways to it. */

import { samePlace } from "../../model/AttachedProgram.ts"
import type { OnDefect } from "../../model/Defect.ts"
import type { Dispatch } from "../../model/Exchange.ts"
import {
  activeCheck,
  defaultConnectTimeout,
  defaultPoolIdleTimeout,
  type LocalAddress,
  type LocalService,
  type ProgramProtocol
} from "../../model/LocalService.ts"
import type { ServiceName } from "../../model/Names.ts"
import { type ProgramTls, sameTls } from "../../model/ProgramTls.ts"
import { hostPort } from "../../model/SocketFailure.ts"
import type { Ticker } from "../../model/Time.ts"
import { type SocketLane, unlimitedSockets } from "../socket/SocketBudget.ts"
import { AutoEndpoint } from "./AutoEndpoint.ts"
import type { EndpointTransport } from "./EndpointStream.ts"
import { defaultMaxHttp2Connections, Http2Endpoint } from "./Http2Endpoint.ts"
import { defaultMaxConnections, defaultMaxWaiting, HttpEndpoint } from "./HttpEndpoint.ts"
import type { InboundMetrics } from "./InboundMetrics.ts"
import { type Limits, OwnLimits, type Places } from "./Places.ts"
import { type AwaitedProgram, ProgramEndpoint } from "./ProgramEndpoint.ts"
import type { Programs } from "./Programs.ts"
import type { ProgramVersion } from "./ProgramVersion.ts"
import { TcpEndpoint } from "./TcpEndpoint.ts"

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

export interface LocalEndpointOptions {
  readonly service: LocalService
  readonly address: LocalAddress
  readonly node: string
  readonly ticker: Ticker
  readonly metrics: InboundMetrics
  /** What connections to programs are taken from. Default: without a limit. */
  readonly sockets?: SocketLane | undefined
  readonly onDefect?: OnDefect | undefined
  /** What it may have. Default: of this thread alone. */
  readonly limits?: Limits | undefined
  /** Programs in this thread that serve without a port. Default: there are none. */
  readonly programs?: Programs | undefined
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
    const { service, address, node, ticker } = options
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
    const { limits = new OwnLimits() } = options
    if (address.program !== undefined) {
      const places = limits.places(`${service.name}/${address.id} in work`, defaultMaxConnections)
      const transport = this.#programTransport(options, places)
      this.#places = places
      this.#http = transport
      this.#tcp = transport
      return
    }
    this.#places = undefined
    const cells = options.metrics.endpoint(service.name, address.id)
    const common = {
      service: service.name,
      host: address.host,
      port: address.port,
      tls: service.tls,
      connectTimeout: service.connectTimeout ?? defaultConnectTimeout,
      node,
      ticker,
      sockets: options.sockets ?? unlimitedSockets(),
      onDefect: options.onDefect,
      onConnectFailure: () => cells.connectFailures.inc()
    }
    const { protocol } = service
    const pool = {
      ...common,
      idleTimeout:
        protocol === "tcp"
          ? defaultPoolIdleTimeout
          : (service.idleTimeout ?? defaultPoolIdleTimeout),
      onDroppedTrailer: () => cells.droppedTrailers.inc()
    }
    const { tls } = service
    const name = `${service.name}/${address.id} ${hostPort(address.host, address.port)}`
    const speak = (version: ProgramVersion, alpn: ReadonlyArray<string> | undefined) => {
      const sealed = tls && { ...tls, alpn: alpn ?? tls.alpn }
      return version === "http2"
        ? new Http2Endpoint({
            ...{ ...pool, tls: sealed, grpc: protocol === "grpc" },
            places: limits.connections(
              `${name} http2`,
              defaultMaxHttp2Connections,
              defaultMaxWaiting
            )
          })
        : new HttpEndpoint({
            ...{ ...pool, tls: sealed, onStaleRetry: () => cells.staleRetries.inc() },
            places: limits.connections(`${name} http`, defaultMaxConnections, defaultMaxWaiting)
          })
    }
    this.#http =
      protocol === "auto"
        ? new AutoEndpoint({
            ...{ place: common, ticker, connectTimeout: common.connectTimeout },
            ...{ sockets: common.sockets, onDefect: common.onDefect },
            places: limits.places(`${name} auto`, defaultMaxWaiting),
            make: (version) => speak(version, [version === "http2" ? "h2" : "http/1.1"]),
            fault: (code, what) => ({
              ...{ code, node, service: service.name, sent: false },
              message: `the program of ${service.name} at ${hostPort(address.host, address.port)} ${what}`
            })
          })
        : speak(protocol === "http2" || protocol === "grpc" ? "http2" : "http", undefined)
    this.#tcp = new TcpEndpoint({
      ...common,
      // What is spoken within is between the tunnel's ends.
      tls: tls && (protocol === "auto" ? { ...tls, alpn: [] } : tls),
      idleTimeout: service.protocol === "tcp" ? service.idleTimeout : undefined
    })
  }

  #programTransport(options: LocalEndpointOptions, places: Places): ProgramEndpoint {
    const { address, node, onDefect, programs, service, ticker } = options
    return new ProgramEndpoint({
      ...{ node, onDefect, service: service.name, ticker },
      program: programOf(programs, service.name, address),
      awaited: awaitedOf(programs, address),
      connectTimeout: service.connectTimeout ?? defaultConnectTimeout,
      places
    })
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

/** Who takes its calls, at any moment; undefined: nobody. */
const programOf = (
  programs: Programs | undefined,
  service: ServiceName,
  { id, program }: LocalAddress
): (() => Dispatch | undefined) => {
  const at = program?.at
  if (at === undefined) return () => programs?.get(service, id)
  const { endpoint } = at
  return () => {
    const open = programs?.open(at.program)
    return open && ((call, receiver) => open({ ...call, endpoint }, receiver))
  }
}

/** Of one that is attached, which has links of its own to each thread. */
const awaitedOf = (
  programs: Programs | undefined,
  { program }: LocalAddress
): AwaitedProgram | undefined => {
  const at = program?.at
  return at === undefined || programs === undefined
    ? undefined
    : {
        isExpected: () => programs.isAttached(at.program),
        whenReached: (then) => programs.whenReached(at.program, then)
      }
}
