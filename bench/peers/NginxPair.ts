/**
 * nginx twice: HTTP/1.1 in, mTLS with HTTP/1.1 and keep-alive between (it speaks no HTTP/2 to
 * upstreams), HTTP/1.1 out; for HTTP/2 and gRPC `grpc_pass`, which speaks HTTP/2 to upstreams, one request at
 * a time on each connection; one worker each unless more are asked for, no logs, nothing buffered on
 * disk.
 */
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { freePort } from "../../test/fixtures/Processes.ts"
import { type Certificates, serverName } from "../Certificates.ts"
import { nginxConfig } from "../NginxConfig.ts"
import { toolOf } from "../Tools.ts"
import { type Program, type StartPair, startPair } from "./Peer.ts"
import type { Speech } from "./Speech.ts"

/** What directives of relaying begin with, and what is listened for, per speech. */
const words = (speech: Speech) =>
  speech === "http1"
    ? { pass: "proxy", scheme: "http", listens: "", relay }
    : { pass: "grpc", scheme: "grpc", listens: " http2", relay: "grpc_set_header Host $host;" }

const relay = `proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_max_temp_file_size 0;`

const upstreamBlock = (address: string): string =>
  `  upstream next { server ${address}; keepalive 8192; keepalive_requests 100000000; }`

/** One listening socket shared by several workers would leave most connections to one of them. */
const sharing = (workers: number): string => (workers > 1 ? " reuseport" : "")

export const clientHttp = (
  port: number,
  server: string,
  certificates: Certificates,
  workers = 1,
  speech: Speech = "http1"
): string => {
  const { pass, scheme, listens, relay } = words(speech)
  return `${upstreamBlock(server)}
  server {
    listen 127.0.0.1:${port}${listens} backlog=16384${sharing(workers)};
    location / {
      ${pass}_pass ${scheme}s://next;
      ${pass}_ssl_certificate ${certificates.client.certificate};
      ${pass}_ssl_certificate_key ${certificates.client.key};
      ${pass}_ssl_trusted_certificate ${certificates.ca};
      ${pass}_ssl_verify on;
      ${pass}_ssl_name ${serverName};
      ${pass}_ssl_server_name on;
      ${pass}_ssl_protocols TLSv1.3;
      ${relay}
    }
  }`
}

export const serverHttp = (
  port: number,
  upstream: string,
  certificates: Certificates,
  workers = 1,
  speech: Speech = "http1"
): string => {
  const { pass, scheme, listens, relay } = words(speech)
  return `${upstreamBlock(upstream)}
  server {
    listen 127.0.0.1:${port} ssl${listens} backlog=16384${sharing(workers)};
    ssl_certificate ${certificates.server.certificate};
    ssl_certificate_key ${certificates.server.key};
    ssl_client_certificate ${certificates.ca};
    ssl_verify_client on;
    ssl_protocols TLSv1.3;
    location / {
      ${pass}_pass ${scheme}://next;
      ${relay}
    }
  }`
}

export const startNginxPair: StartPair = async (site) => {
  const { directory, upstream, certificates, tools, speech, threads: workers = 1 } = site
  const ports = { client: await freePort(), server: await freePort() }
  const program = (name: string, http: string): Program => {
    const own = join(directory, name)
    mkdirSync(own, { recursive: true })
    const file = join(own, "nginx.conf")
    writeFileSync(file, nginxConfig(own, http, workers))
    return { command: toolOf(tools, "nginx"), args: ["-p", own, "-c", file] }
  }
  const far = `127.0.0.1:${ports.server}`
  return startPair(
    "nginx",
    speech,
    ports.client,
    program("client", clientHttp(ports.client, far, certificates, workers, speech)),
    program("server", serverHttp(ports.server, upstream, certificates, workers, speech))
  )
}
