/** Where a link is dialled or awaited: the multiaddrs that mean TCP, in the parts that sockets take. */
import { isIPv6 } from "node:net"
import { parseTcpMultiaddr } from "../../model/TcpMultiaddr.ts"

export interface TcpAddress {
  /** As it was written. */
  readonly text: string
  readonly host: string
  readonly port: number
  /** 0: whatever the name has. */
  readonly family: 0 | 4 | 6
}

/** `/ip4|ip6|dns|dns4|dns6/HOST/tcp/PORT`, with or without the peer behind it. */
export const parseTcpAddress = (text: string): TcpAddress | undefined => {
  const address = parseTcpMultiaddr(text)
  if (address === undefined) return undefined
  const { host, kind, port } = address
  return { text, host, port, family: kind.endsWith("4") ? 4 : kind.endsWith("6") ? 6 : 0 }
}

/** An address of an interface, as multiaddr. */
export const tcpAddressOf = (host: string, port: number): string =>
  `/${isIPv6(host) ? "ip6" : "ip4"}/${host}/tcp/${port}`
