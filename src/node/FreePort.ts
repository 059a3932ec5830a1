/** Whether anybody has a port, before threads share it among themselves. */
import net from "node:net"
import type { SocketEnd } from "../model/Relay.ts"
import { makeListenError } from "../request/listener/ListenError.ts"

/**
 * Done when nobody has it; rejects with a `ListenError` otherwise. A socket that does not share its
 * port is refused one that somebody has, shared or not.
 */
export const freePort = ({
  host,
  ipv6Only = false,
  port
}: SocketEnd & { readonly ipv6Only?: boolean | undefined }): Promise<void> =>
  new Promise((resolve, reject) => {
    const server = net.createServer()
    server.once("error", (error) => reject(makeListenError(host, port, error)))
    server.listen({ host, port, exclusive: true, ipv6Only }, () => server.close(() => resolve()))
  })
