/** HAProxy twice: HTTP/1.1 or HTTP/2 in, mTLS with HTTP/2 between, the same out as in; one thread each unless more are asked for, no logs. */
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { freePort } from "../../test/fixtures/Processes.ts"
import { type Certificates, serverName } from "../Certificates.ts"
import { toolOf } from "../Tools.ts"
import { type Program, type StartPair, startPair } from "./Peer.ts"
import type { Speech } from "./Speech.ts"

const common = (threads: number): string => `global
  nbthread ${threads}
  maxconn 8000
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout http-keep-alive 1h
  http-reuse always
`

/** HTTP/2 by prior knowledge; it cannot be told by the first bytes. */
const spoken = (speech: Speech): string => (speech === "http1" ? "" : " proto h2")

export const clientConfig = (
  port: number,
  server: number,
  certificates: Certificates,
  threads = 1,
  speech: Speech = "http1"
): string =>
  `${common(threads)}
frontend in
  bind 127.0.0.1:${port} backlog 16384${spoken(speech)}
  default_backend out
backend out
  server far 127.0.0.1:${server} ssl alpn h2 crt ${certificates.client.bundle} ca-file ${certificates.ca} verify required sni str(${serverName}) verifyhost ${serverName}
`

export const serverConfig = (
  port: number,
  upstream: string,
  certificates: Certificates,
  threads = 1,
  speech: Speech = "http1"
): string =>
  `${common(threads)}
frontend in
  bind 127.0.0.1:${port} ssl crt ${certificates.server.bundle} ca-file ${certificates.ca} verify required alpn h2
  default_backend out
backend out
  server app ${upstream}${spoken(speech)}
`

export const startHaproxy: StartPair = async (site) => {
  const { directory, upstream, certificates, tools, speech, threads = 1 } = site
  mkdirSync(directory, { recursive: true })
  const ports = { client: await freePort(), server: await freePort() }
  const program = (name: string, text: string): Program => {
    const file = join(directory, `${name}.cfg`)
    writeFileSync(file, text)
    return { command: toolOf(tools, "haproxy"), args: ["-db", "-f", file] }
  }
  return startPair(
    "haproxy",
    speech,
    ports.client,
    program("client", clientConfig(ports.client, ports.server, certificates, threads, speech)),
    program("server", serverConfig(ports.server, upstream, certificates, threads, speech))
  )
}
