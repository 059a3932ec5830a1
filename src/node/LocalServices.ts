/**
 * What this host offers, in the three forms it takes: as config says it, as the inbound stack
 * serves it, and as the node's record tells the mesh.
 */
import { createHash } from "node:crypto"
import { usualDetect } from "../config/ConfigTime.ts"
import { formatHostPort, type HostPort } from "../config/HostPort.ts"
import type { NodeConfig } from "../config/NodeConfig.ts"
import type { ServiceConfig } from "../config/ServiceConfig.ts"
import { activeCheck, type HealthCheck, type LocalService } from "../model/LocalService.ts"
import type { ServiceName } from "../model/Names.ts"
import type { ServiceEntry } from "../model/NodeRecord.ts"
import type { ProgramTls } from "../model/ProgramTls.ts"

const healthCheck = (config: ServiceConfig["health"]): HealthCheck => {
  if (config === undefined) return { kind: "none" }
  if ("http" in config) return { kind: "http", ...config.http }
  return "grpc" in config ? { kind: "grpc", ...config.grpc } : { kind: "tcp", ...config.tcp }
}

/** What is offered where nothing is said of it. */
const usualAlpn: Readonly<Record<ServiceConfig["protocol"], ReadonlyArray<string>>> = {
  http: ["http/1.1"],
  http2: ["h2"],
  grpc: ["h2"],
  tcp: [],
  auto: ["h2", "http/1.1"]
}

const programTls = ({ protocol, tls }: ServiceConfig): ProgramTls | undefined => {
  if (tls === undefined) return undefined
  const { alpn = usualAlpn[protocol], ca, insecure, pin, serverName } = tls
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(pin === undefined ? {} : { pins: typeof pin === "string" ? [pin] : pin }),
    ...(insecure ? { insecure } : {}),
    ...(serverName === undefined ? {} : { serverName }),
    alpn
  }
}

/** Longest id a record may carry. */
const maxIdLength = 64

/** The address; of a longer one its beginning and a hash, as two may differ anywhere. */
const endpointId = (address: HostPort): string => {
  const text = formatHostPort(address)
  if (text.length <= maxIdLength) return text
  const hash = createHash("sha256").update(text).digest("hex").slice(0, 16)
  return `${text.slice(0, maxIdLength - hash.length - 1)}~${hash}`
}

const isChecked = (endpoint: LocalService["endpoints"][number]): boolean =>
  activeCheck(endpoint) !== undefined

/**
 * An endpoint is called after its address: config may reorder its list, and the endpoint stays
 * the same one to every balancer of the mesh.
 */
export const localServices = (config: NodeConfig): ReadonlyArray<LocalService> =>
  config.services.map((service) => ({
    name: service.name,
    protocol: service.protocol,
    ...(service.tls === undefined ? {} : { tls: programTls(service) }),
    ...(service.port === undefined ? {} : { port: service.port }),
    ...(service.protocol === "auto" ? { detect: service.detect ?? usualDetect } : {}),
    ...(service.policy === undefined ? {} : { policy: { ...service.policy } }),
    endpoints: service.addresses.map((address) => ({
      id: endpointId(address),
      host: address.host,
      port: address.port,
      weight: service.weight,
      health: healthCheck(service.health)
    }))
  }))

/** What the health checks have found so far; an endpoint with a check is not well before. */
export class EndpointHealth {
  readonly #known = new Map<string, boolean>()

  set(service: ServiceName, endpoint: string, healthy: boolean): void {
    this.#known.set(`${service}/${endpoint}`, healthy)
  }

  isHealthy(service: ServiceName, endpoint: LocalService["endpoints"][number]): boolean {
    if (endpoint.program !== undefined) return endpoint.program.healthy
    return isChecked(endpoint) ? (this.#known.get(`${service}/${endpoint.id}`) ?? false) : true
  }

  /** Forgets endpoints that are gone, or are no longer checked. */
  keep(services: ReadonlyArray<LocalService>): void {
    const present = new Set(
      services.flatMap(({ name, endpoints }) =>
        endpoints.filter(isChecked).map(({ id }) => `${name}/${id}`)
      )
    )
    for (const key of this.#known.keys()) if (!present.has(key)) this.#known.delete(key)
  }
}

export const serviceEntries = (
  services: ReadonlyArray<LocalService>,
  health: EndpointHealth
): ReadonlyArray<ServiceEntry> =>
  services.map(({ detect, endpoints, name, policy, port, protocol }) => ({
    name,
    // Which version of HTTP its program speaks is between it and its node.
    protocol: protocol === "http2" || protocol === "auto" ? "http" : protocol,
    ...(port === undefined ? {} : { port }),
    ...(detect === undefined ? {} : { detect }),
    ...(policy === undefined ? {} : { policy }),
    endpoints: endpoints.map((endpoint) => ({
      id: endpoint.id,
      healthy: health.isHealthy(name, endpoint),
      draining: false,
      weight: endpoint.weight
    }))
  }))
