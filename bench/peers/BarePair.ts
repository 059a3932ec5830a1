/** Nothing but Skein's records between two programs: the floor of what a byte can cost. */
import { join } from "node:path"
import { freePort } from "../../test/fixtures/Processes.ts"
import { type Program, type StartPair, startPair } from "./Peer.ts"
import { runtimeFlags } from "./SkeinPair.ts"

export const startBarePair: StartPair = async ({ upstream }) => {
  const ports = { client: await freePort(), server: await freePort() }
  const program = (side: "client" | "server", next: string): Program => ({
    command: process.execPath,
    args: [...runtimeFlags, join(import.meta.dirname, "BareProxy.ts")],
    env: {
      // It has nothing else in memory: malloc would give each record back to the system, and get it anew.
      MALLOC_TRIM_THRESHOLD_: String(32 * 1024 * 1024),
      PROXY_SIDE: side,
      PROXY_PORT: String(ports[side]),
      PROXY_NEXT_PORT: next.slice(next.lastIndexOf(":") + 1)
    }
  })
  return startPair(
    "bare",
    "http1",
    ports.client,
    program("client", `127.0.0.1:${ports.server}`),
    program("server", upstream)
  )
}
