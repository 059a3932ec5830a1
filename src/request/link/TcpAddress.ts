/** Where a link is dialled or awaited: the multiaddrs that mean TCP, in the parts that sockets take. */
import { isIPv4, isIPv6 } from "node:net"

export interface TcpAddress {
  /** As it was written. */
  readonly text: string
  readonly host: string
  readonly port: number
  /** 0: whatever the name has. */
  readonly family: 0 | 4 | 6
}

const shape = /^\/(ip4|ip6|dns|dns4|dns6)\/([^/]+)\/tcp\/(\d{1,5})(?:\/p2p\/[^/]+)?$/

/** `/ip4|ip6|dns|dns4|dns6/HOST/tcp/PORT`, with or without the peer behind it. */
export const parseTcpAddress = (text: string): TcpAddress | undefined => {
  const match = shape.exec(text)
  if (match === null) return undefined
  const [, kind = "", host = "", digits] = match
  const port = Number(digits)
  if (port > 65_535) return undefined
  if (kind === "ip4" ? !isIPv4(host) : kind === "ip6" && !isIPv6(host)) return undefined
  return { text, host, port, family: kind.endsWith("4") ? 4 : kind.endsWith("6") ? 6 : 0 }
}

/** An address of an interface, as multiaddr. */
export const tcpAddressOf = (host: string, port: number): string =>
  `/${isIPv6(host) ? "ip6" : "ip4"}/${host}/tcp/${port}`
