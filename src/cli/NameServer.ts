/** Where a node's name server is reached from its own host. */
import type { HostPort } from "../config/HostPort.ts"

/** `127.0.0.1:5354`; of one that listens everywhere, loopback. */
export const nameServerOf = (address: string): HostPort => {
  const at = address.lastIndexOf(":")
  const host = address.slice(0, at).replace(/^\[|\]$/g, "")
  const port = Number(address.slice(at + 1))
  return { host: host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host, port }
}
