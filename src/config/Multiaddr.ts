/**
 * Addresses of nodes as libp2p writes them: `/ip4/192.0.2.1/tcp/4001`. Only the forms a node can
 * use are accepted, so that a wrong one is a config error and not a late surprise.
 */
import { Schema } from "effect"
import { parseTcpMultiaddr, type TcpMultiaddr } from "../model/TcpMultiaddr.ts"
import { quote } from "../schema/ExplainIssue.ts"

/** Without a peer behind it: a node is known by its key, wherever it is. */
export const parseMultiaddr = (text: string): TcpMultiaddr | undefined => {
  const address = parseTcpMultiaddr(text)
  return address?.peer === undefined ? address : undefined
}

/** Where a node listens: an IP address of the host, or 0.0.0.0, ::. Port 0 takes a free one. */
export const ListenMultiaddr = Schema.String.pipe(
  Schema.filter(
    (text) => {
      const address = parseMultiaddr(text)
      return address?.kind.startsWith("ip") === true
    },
    {
      identifier: "ListenMultiaddr",
      description: "/ip4/ADDRESS/tcp/PORT",
      message: ({ actual }) =>
        `${quote(actual)} is not an address to listen on; write /ip4/ADDRESS/tcp/PORT or /ip6/ADDRESS/tcp/PORT`,
      jsonSchema: { pattern: "^/ip[46]/[^/]+/tcp/[0-9]+$" }
    }
  )
)

/** What other nodes dial: as for listening, or a DNS name; never port 0 or an unspecified address. */
export const AnnounceMultiaddr = Schema.String.pipe(
  Schema.filter(
    (text) => {
      const address = parseMultiaddr(text)
      return address !== undefined && address.port > 0 && !["0.0.0.0", "::"].includes(address.host)
    },
    {
      identifier: "AnnounceMultiaddr",
      description: "/ip4/ADDRESS/tcp/PORT or /dns/NAME/tcp/PORT",
      message: ({ actual }) =>
        `${quote(actual)} is not an address others can dial; write /ip4/ADDRESS/tcp/PORT or /dns/NAME/tcp/PORT`,
      jsonSchema: { pattern: "^/(ip4|ip6|dns|dns4|dns6)/[^/]+/tcp/[0-9]+$" }
    }
  )
)
