/** Envoy twice: HTTP/1.1 or HTTP/2 in, mTLS with HTTP/2 between, the same out as in; one worker thread unless more are asked for, no logs. */
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { freePort } from "../../test/fixtures/Processes.ts"
import { type Certificates, type Identity, serverName } from "../Certificates.ts"
import { findEnvoy } from "./EnvoyBinary.ts"
import { type Program, type StartPair, startPair } from "./Peer.ts"
import type { Speech } from "./Speech.ts"

const type = (name: string) => ({ "@type": `type.googleapis.com/envoy.${name}` })

const address = (port: number) => ({ socket_address: { address: "127.0.0.1", port_value: port } })

const tlsContext = (identity: Identity, ca: string) => ({
  alpn_protocols: ["h2"],
  tls_certificates: [
    {
      certificate_chain: { filename: identity.certificate },
      private_key: { filename: identity.key }
    }
  ],
  validation_context: { trusted_ca: { filename: ca } }
})

const listener = (port: number, transport: object) => ({
  name: "in",
  address: address(port),
  tcp_backlog_size: 16_384,
  filter_chains: [
    {
      ...transport,
      filters: [
        {
          name: "envoy.filters.network.http_connection_manager",
          typed_config: {
            ...type("extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"),
            stat_prefix: "in",
            route_config: {
              virtual_hosts: [
                {
                  name: "all",
                  domains: ["*"],
                  routes: [{ match: { prefix: "/" }, route: { cluster: "next", timeout: "0s" } }]
                }
              ]
            },
            http_filters: [
              {
                name: "envoy.filters.http.router",
                typed_config: type("extensions.filters.http.router.v3.Router")
              }
            ]
          }
        }
      ]
    }
  ]
})

/** Its own limits of 1,024 would refuse what the peers let through. */
const generous = {
  max_connections: 20_000,
  max_pending_requests: 20_000,
  max_requests: 20_000
}

const cluster = (port: number, protocol: object) => ({
  name: "next",
  type: "STATIC",
  connect_timeout: "5s",
  circuit_breakers: { thresholds: [generous] },
  load_assignment: {
    cluster_name: "next",
    endpoints: [{ lb_endpoints: [{ endpoint: { address: address(port) } }] }]
  },
  ...protocol
})

const http2 = {
  typed_extension_protocol_options: {
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
      ...type("extensions.upstreams.http.v3.HttpProtocolOptions"),
      explicit_http_config: { http2_protocol_options: {} }
    }
  }
}

const http2OverTls = (certificates: Certificates) => ({
  ...http2,
  transport_socket: {
    name: "envoy.transport_sockets.tls",
    typed_config: {
      ...type("extensions.transport_sockets.tls.v3.UpstreamTlsContext"),
      sni: serverName,
      common_tls_context: tlsContext(certificates.client, certificates.ca)
    }
  }
})

const mutualTls = (certificates: Certificates) => ({
  transport_socket: {
    name: "envoy.transport_sockets.tls",
    typed_config: {
      ...type("extensions.transport_sockets.tls.v3.DownstreamTlsContext"),
      require_client_certificate: true,
      common_tls_context: tlsContext(certificates.server, certificates.ca)
    }
  }
})

export const clientConfig = (port: number, server: number, certificates: Certificates) => ({
  static_resources: {
    listeners: [listener(port, {})],
    clusters: [cluster(server, http2OverTls(certificates))]
  }
})

export const serverConfig = (
  port: number,
  upstream: number,
  certificates: Certificates,
  speech: Speech
) => ({
  static_resources: {
    listeners: [listener(port, mutualTls(certificates))],
    clusters: [cluster(upstream, speech === "http1" ? {} : http2)]
  }
})

export const envoyArguments = (file: string, workers = 1): ReadonlyArray<string> => [
  ...["--config-path", file, "--concurrency", String(workers)],
  ...["--disable-hot-restart", "--log-level", "error"]
]

export const startEnvoy: StartPair = async (site) => {
  const { directory, upstream, certificates, speech, threads } = site
  const command = await findEnvoy()
  mkdirSync(directory, { recursive: true })
  const ports = { client: await freePort(), server: await freePort() }
  const program = (name: string, config: object): Program => {
    const file = join(directory, `${name}.json`)
    writeFileSync(file, JSON.stringify(config))
    return { command, args: envoyArguments(file, threads) }
  }
  const app = Number(upstream.slice(upstream.lastIndexOf(":") + 1))
  return startPair(
    "envoy",
    speech,
    ports.client,
    program("client", clientConfig(ports.client, ports.server, certificates)),
    program("server", serverConfig(ports.server, app, certificates, speech))
  )
}
