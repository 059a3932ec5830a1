/** Addresses that stay on one host. */
import { isIPv4 } from "node:net"

/** Whether only programs on this very host can reach it. */
export const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || (isIPv4(host) && host.startsWith("127."))
