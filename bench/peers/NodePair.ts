/** Plain node:http and node:https twice, mTLS with HTTP/1.1 and keep-alive between. */
import { join } from "node:path"
import { freePort } from "../../test/fixtures/Processes.ts"
import { type Identity, serverName } from "../Certificates.ts"
import { type Program, type StartPair, startPair } from "./Peer.ts"

export const startNodePair: StartPair = async ({ upstream, certificates }) => {
  const ports = { client: await freePort(), server: await freePort() }
  const program = (side: "client" | "server", next: string, identity: Identity): Program => ({
    command: process.execPath,
    args: [join(import.meta.dirname, "NodeProxy.ts")],
    env: {
      PROXY_SIDE: side,
      PROXY_PORT: String(ports[side]),
      PROXY_NEXT_PORT: next.slice(next.lastIndexOf(":") + 1),
      PROXY_CERTIFICATE: identity.certificate,
      PROXY_KEY: identity.key,
      PROXY_CA: certificates.ca,
      PROXY_SERVER_NAME: serverName
    }
  })
  return startPair(
    "node",
    "http1",
    ports.client,
    program("client", `127.0.0.1:${ports.server}`, certificates.client),
    program("server", upstream, certificates.server)
  )
}
