/** Services under names that programs just use: the node as a name server for its host. */
import { isIPv6 } from "node:net"
import { ParseResult, Schema } from "effect"
import { parseAddressRange } from "../model/AddressRange.ts"
import { isLoopback } from "../model/Loopback.ts"
import { whyNoUniqueLocal } from "../model/UniqueLocal.ts"
import { timeLimit } from "../schema/Duration.ts"
import { quote } from "../schema/ExplainIssue.ts"
import { ServiceName } from "../schema/NamesSchema.ts"
import { allowRemote, exposed, guarded } from "./GuardedListen.ts"
import { formatHostPort, ListenAddress, NameServerAddress } from "./HostPort.ts"

const Suffix = Schema.String.pipe(
  Schema.pattern(
    /^(?=.{1,190}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/,
    {
      description: "a domain in small letters, like mesh",
      message: ({ actual }) =>
        `${quote(actual)} is not a domain in small letters without dots at its ends, like mesh or svc.example.com`
    }
  )
)

const Range = Schema.String.pipe(
  Schema.filter(
    (text, _, ast) => {
      const range = parseAddressRange(text)
      return typeof range === "string"
        ? new ParseResult.Type(ast, text, `${quote(text)} ${range}`)
        : undefined
    },
    { description: "a block of loopback addresses, like 127.80.0.0/12", jsonSchema: {} }
  )
)

const UniqueLocal = Schema.String.pipe(
  Schema.filter(
    (text, _, ast) => {
      const why = whyNoUniqueLocal(text)
      return why === undefined
        ? undefined
        : new ParseResult.Type(ast, text, `${quote(text)} ${why}`)
    },
    { description: "a block of unique local addresses, like fd5c:6e1a:77::/64", jsonSchema: {} }
  )
)

/** It tells which services there are, and nothing that a call needs: their addresses are of this host alone. */
const listen = guarded(ListenAddress, "learns which services there are")

const mend = "allowRemote: true beside it"
const unspecified: ReadonlySet<string> = new Set(["0.0.0.0", "::"])

/** Names for containers, and others that have a loopback of their own. */
const Bridge = Schema.Struct({
  /** By UDP and TCP; names there mean this address, at which services are listened for. Docker asks port 53. */
  listen: ListenAddress,
  /** Must be said of an address that others than this host reach, as containers do. */
  allowRemote,
  /** The service that callers there are. The node's certificate has to grant it. Absent: the host. */
  as: Schema.optional(ServiceName)
}).pipe(
  Schema.filter(
    ({ allowRemote, listen }) => {
      const text = formatHostPort(listen)
      if (unspecified.has(listen.host) || isIPv6(listen.host)) {
        const message = `${quote(text)} is not one IPv4 address, which is what names are answered with; write that of the bridge, like 172.17.0.1:53`
        return [{ path: ["listen"], message }]
      }
      if (allowRemote || isLoopback(listen.host)) return []
      const message = exposed(text, "calls services with this node's rights", mend)
      return [{ path: ["listen"], message }]
    },
    { identifier: "Bridge", jsonSchema: {} }
  )
)

export const DnsConfig = Schema.Struct({
  /** By UDP and TCP. Not 5353, where hosts hear multicast DNS. */
  listen: Schema.optionalWith(listen, {
    default: () => ({ listen: { host: "127.0.0.1", port: 5354 }, allowRemote: false })
  }),
  /** A second name server, for containers: at the address of their bridge. Absent: none. */
  bridge: Schema.optional(Bridge),
  /** `payments.mesh` is the service payments. */
  suffix: Schema.optionalWith(Suffix, { default: () => "mesh" }),
  /** Each service has an address of these, by its name, and the node listens there when it is asked for. */
  addresses: Schema.optionalWith(Range, { default: () => "127.80.0.0/12" }),
  /**
   * Each service has an address of this block as well (AAAA), which the host has to take for its own (docs/names.md).
   * Absent: names have no addresses of IPv6.
   */
  ipv6: Schema.optional(UniqueLocal),
  /** For how long programs may keep an answer; whole seconds. */
  ttl: Schema.optionalWith(
    timeLimit("1s", "1d").pipe(
      Schema.filter((ms) => ms % 1_000 === 0, {
        message: () => "is not of whole seconds, which are all that DNS knows",
        jsonSchema: {}
      })
    ),
    { default: () => 5_000 }
  ),
  /** Servers that are asked for all other names, in this order; port 53 where none is said. Default: none is, and such questions are refused. */
  forward: Schema.optionalWith(Schema.Array(NameServerAddress).pipe(Schema.maxItems(3)), {
    default: () => []
  })
}).annotations({ identifier: "DnsConfig" })
export type DnsConfig = typeof DnsConfig.Type
