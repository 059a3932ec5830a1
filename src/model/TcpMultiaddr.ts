/** Addresses of nodes as libp2p writes them, of the forms that mean TCP: `/ip4/192.0.2.1/tcp/4001`. */
import { isIPv4, isIPv6 } from "node:net"

export interface TcpMultiaddr {
  /** `ip4`, `ip6`, `dns`, `dns4` or `dns6`. */
  readonly kind: string
  readonly host: string
  readonly port: number
  /** Who must answer there, if it says so: `/p2p/PEER`. */
  readonly peer: string | undefined
}

const shape = /^\/(ip4|ip6|dns|dns4|dns6)\/([^/]+)\/tcp\/(\d{1,5})(?:\/p2p\/([^/]+))?$/

/** Undefined: it is none of these forms. */
export const parseTcpMultiaddr = (text: string): TcpMultiaddr | undefined => {
  const match = shape.exec(text)
  if (match === null) return undefined
  const [, kind = "", host = "", digits, peer] = match
  const port = Number(digits)
  if (port > 65_535) return undefined
  if (kind === "ip4" ? !isIPv4(host) : kind === "ip6" && !isIPv6(host)) return undefined
  return { kind, host, port, peer }
}
