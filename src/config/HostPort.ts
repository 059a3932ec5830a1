/**
 * Where something listens or is reached: `127.0.0.1:8081`, `[::1]:8081`, `localhost:8081`, and for
 * the admin interface also `unix:/run/skein.sock`. Text outside, a typed value inside.
 */
import { isIP, isIPv4, isIPv6 } from "node:net"
import { basename } from "node:path"
import { ParseResult, Schema } from "effect"
import { maxUnixPath, unixPathOf } from "../model/UnixHost.ts"
import { quote } from "../schema/ExplainIssue.ts"

export interface HostPort {
  /** An IP address (IPv6 without brackets) or a host name. */
  readonly host: string
  /** 0 where something listens: any free port. */
  readonly port: number
}

export interface UnixPath {
  readonly path: string
}

/** Where the admin API listens. */
export type AdminAddress = HostPort | UnixPath

const unixPrefix = "unix:"
const hostName = /^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?(\.[A-Za-z0-9_-]+)*$/
const shape = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/

interface Shape {
  /** Host names, too, and not just addresses and localhost. */
  readonly anyName: boolean
  readonly minPort: number
  /** `unix:/path` as well, which is a host whose port is 0. */
  readonly unix: boolean
  /** The port of an address that is written without one. Absent: it has to say one. */
  readonly usualPort?: number
}

/** A node may be started anywhere, and programs look for the socket from elsewhere. */
const relative = (path: string): string =>
  path === ""
    ? "has no path; write one from the root on, like unix:/run/skein/web.sock"
    : `has a relative path; write it from the root on, like unix:/run/skein/${basename(path)}`

/** What is wrong with a text, or the value it means. Undefined: it is another kind of address. */
const parse = (text: string, expected: Shape): HostPort | string | undefined => {
  const { anyName, minPort, unix, usualPort } = expected
  const path = unixPathOf(text)
  if (path !== undefined && !unix) return undefined
  if (path !== undefined) {
    if (!path.startsWith("/")) return relative(path)
    if (Buffer.byteLength(path) > maxUnixPath) return `is longer than ${maxUnixPath} bytes`
    return { host: text, port: 0 }
  }
  if (usualPort !== undefined && isIP(text) !== 0) return { host: text, port: usualPort }
  const match = shape.exec(text)
  if (match === null) {
    if (usualPort !== undefined) return "is not an IP address, like 192.0.2.1 or 192.0.2.1:5353"
    if (/^:?\d+$/.test(text)) return `has no host; write 127.0.0.1:${text.replace(":", "")}`
    return text.includes("::")
      ? "is not host:port; an IPv6 address stands in brackets, like [::1]:8081"
      : "is not host:port, like 127.0.0.1:8081"
  }
  const [, six, other, digits] = match
  const port = Number(digits)
  if (port < minPort || port > 65_535) return `has port ${port}; ports are ${minPort}–65535`
  if (six !== undefined) {
    return isIPv6(six) ? { host: six, port } : `has [${six}], which is not an IPv6 address`
  }
  const host = other ?? ""
  if (isIPv4(host) || host === "localhost") return { host, port }
  if (/^[\d.]+$/.test(host)) return `has ${host}, which is not an IPv4 address`
  if (!hostName.test(host)) return `has ${JSON.stringify(host)}, which is not a host name`
  if (anyName) return { host, port }
  return `has the name ${host}; to listen, write an IP address of this host or localhost`
}

/** Also of where a listener really is, which may be a unix socket (model/Relay.ts). */
export const formatHostPort = ({ host, port }: HostPort): string =>
  host.startsWith(unixPrefix) ? host : host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`

export const formatAdminAddress = (address: AdminAddress): string =>
  "path" in address ? `${unixPrefix}${address.path}` : formatHostPort(address)

const HostPortValue = Schema.Struct({ host: Schema.String, port: Schema.Int })

const make = (identifier: string, description: string, shape: Shape) => {
  const Text = Schema.String.annotations({
    description,
    jsonSchema: { type: "string", description, examples: ["127.0.0.1:8081", "[::1]:8081"] }
  })
  return Schema.transformOrFail(Text, HostPortValue, {
    strict: true,
    decode: (text, _, ast) => {
      const value = parse(text, shape)
      if (typeof value === "object") return ParseResult.succeed(value)
      const message = value === undefined ? undefined : `${JSON.stringify(text)} ${value}`
      return ParseResult.fail(new ParseResult.Type(ast, text, message))
    },
    encode: (value) => ParseResult.succeed(formatHostPort(value))
  }).annotations({ identifier, description })
}

/** Where this node listens for local programs: an IP address or localhost; port 0 picks one. */
export const ListenAddress = make("ListenAddress", "host:port to listen on, like 127.0.0.1:4140", {
  anyName: false,
  minPort: 0,
  unix: false
})

/** The same, or a unix socket, which is a host whose port is 0. */
export const AnyListenAddress = make(
  "AnyListenAddress",
  "host:port to listen on, like 127.0.0.1:4140, or unix:/path",
  { anyName: false, minPort: 0, unix: true }
)

/** Where a name server is reached: an IP address; never port 0, and 53 where none is said. */
export const NameServerAddress = make(
  "NameServerAddress",
  "address of a name server, like 192.0.2.1 or 192.0.2.1:5353; port 53 where none is said",
  { anyName: false, minPort: 1, unix: false, usualPort: 53 }
)

/** Where a program is reached: an IP address or any host name and never port 0, or a unix socket. */
export const DialAddress = make("DialAddress", "host:port of a program, like 127.0.0.1:8081", {
  anyName: true,
  minPort: 1,
  unix: true
})

const UnixText = Schema.String.pipe(
  Schema.pattern(/^unix:\/./, {
    description: "unix:/path of a socket",
    message: ({ actual }) => {
      const path = typeof actual === "string" ? unixPathOf(actual) : undefined
      return `${quote(actual)} ${path === undefined ? "is not unix:/absolute/path" : relative(path)}`
    }
  })
)

const AnyUnixText = Schema.String.pipe(
  Schema.pattern(/^unix:./, {
    description: "unix:path of a socket",
    message: ({ actual }) =>
      `${quote(actual)} ${actual === unixPrefix ? relative("") : "is not unix:path"}`
  })
)

const unixAddress = (text: Schema.Schema<string>) =>
  Schema.transformOrFail(text, Schema.Struct({ path: Schema.String }), {
    strict: true,
    decode: (text, _, ast) =>
      Buffer.byteLength(text) - unixPrefix.length > maxUnixPath
        ? ParseResult.fail(
            new ParseResult.Type(
              ast,
              text,
              `${JSON.stringify(text)} is longer than ${maxUnixPath} bytes`
            )
          )
        : ParseResult.succeed({ path: text.slice(unixPrefix.length) }),
    encode: ({ path }) => ParseResult.succeed(`${unixPrefix}${path}`)
  })

/** A unix socket, as `unix:/path`. */
export const UnixAddress = unixAddress(UnixText).annotations({ identifier: "UnixAddress" })

/** The same, or relative to where the config is. */
export const AnyUnixAddress = unixAddress(AnyUnixText).annotations({
  identifier: "AnyUnixAddress"
})

/** Whether two listeners could not both be open. An unspecified address takes the port on all. */
export const collides = (a: HostPort, b: HostPort): boolean => {
  if (a.port !== b.port || a.port === 0) return false
  const any = (host: string) => host === "0.0.0.0" || host === "::"
  const same = (host: string) => (host === "localhost" ? "127.0.0.1" : host)
  return any(a.host) || any(b.host) || same(a.host) === same(b.host)
}
