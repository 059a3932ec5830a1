/** Whether anybody has a port, before threads share it among themselves. */
import net from "node:net"
import type { SocketEnd } from "../model/Relay.ts"

/**
 * Rejects with what the system says. A socket that does not share its port is refused one that
 * somebody has, shared or not.
 */
export const isPortFree = ({
  host,
  ipv6Only,
  port
}: SocketEnd & { readonly ipv6Only?: boolean }): Promise<void> =>
  new Promise((resolve, reject) => {
    const server = net.createServer()
    server.once("error", reject)
    server.listen({ host, port, exclusive: true, ipv6Only: ipv6Only ?? false }, () => {
      server.close(() => resolve())
    })
  })
