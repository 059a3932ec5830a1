/**
 * The ways to one program of this host: connections to its address, for requests and for tunnels, or, where it serves
 * without a port, calls to it in this thread or over its links.
 */
import type { OnDefect } from "../../model/Defect.ts"
import type { Dispatch } from "../../model/Exchange.ts"
import {
  defaultConnectTimeout,
  defaultPoolIdleTimeout,
  type LocalAddress,
  type LocalService
} from "../../model/LocalService.ts"
import type { ServiceName } from "../../model/Names.ts"
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

export interface EndpointTransports {
  readonly http: EndpointTransport
  readonly tcp: EndpointTransport
  /** For each exchange, where the program has no connections that could be counted. */
  readonly places: Places | undefined
}

export const transportsTo = (options: LocalEndpointOptions): EndpointTransports => {
  const { address, limits = new OwnLimits(), node, service, ticker } = options
  if (address.program !== undefined) {
    const places = limits.places(`${service.name}/${address.id} in work`, defaultMaxConnections)
    const transport = programTransport(options, places)
    return { http: transport, tcp: transport, places }
  }
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
      protocol === "tcp" ? defaultPoolIdleTimeout : (service.idleTimeout ?? defaultPoolIdleTimeout),
    onDroppedTrailer: () => cells.droppedTrailers.inc()
  }
  const { tls } = service
  const name = `${service.name}/${address.id} ${hostPort(address.host, address.port)}`
  const speak = (version: ProgramVersion, alpn: ReadonlyArray<string> | undefined) => {
    const sealed = tls && { ...tls, alpn: alpn ?? tls.alpn }
    return version === "http2"
      ? new Http2Endpoint({
          ...{ ...pool, tls: sealed, grpc: protocol === "grpc" },
          places: limits.connections(`${name} http2`, defaultMaxHttp2Connections, defaultMaxWaiting)
        })
      : new HttpEndpoint({
          ...{ ...pool, tls: sealed, onStaleRetry: () => cells.staleRetries.inc() },
          places: limits.connections(`${name} http`, defaultMaxConnections, defaultMaxWaiting)
        })
  }
  const http =
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
  const tcp = new TcpEndpoint({
    ...common,
    // What is spoken within is between the tunnel's ends.
    tls: tls && (protocol === "auto" ? { ...tls, alpn: [] } : tls),
    idleTimeout: service.protocol === "tcp" ? service.idleTimeout : undefined
  })
  return { http, tcp, places: undefined }
}

const programTransport = (options: LocalEndpointOptions, places: Places): ProgramEndpoint => {
  const { address, node, onDefect, programs, service, ticker } = options
  return new ProgramEndpoint({
    ...{ node, onDefect, service: service.name, ticker },
    program: programOf(programs, service.name, address),
    awaited: awaitedOf(programs, address),
    connectTimeout: service.connectTimeout ?? defaultConnectTimeout,
    places
  })
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
