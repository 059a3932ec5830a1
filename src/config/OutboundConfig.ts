/** Where this host's programs hand calls to their node, and for whom they speak there. */
import { Schema } from "effect"
import { isLoopback } from "../model/Loopback.ts"
import { unixPathOf } from "../model/UnixHost.ts"
import { quote } from "../schema/ExplainIssue.ts"
import { ServiceName } from "../schema/NamesSchema.ts"
import { missedKeys, missedWords } from "../schema/SchemaWords.ts"
import { noneTwice } from "./ConfigRules.ts"
import { detectTime } from "./ConfigTime.ts"
import { AdminListen, allowRemote, exposed, guarded } from "./GuardedListen.ts"
import { AnyListenAddress, formatHostPort, ListenAddress } from "./HostPort.ts"

/**
 * The service that programs who use a listener are, and for which their calls speak. The node's
 * certificate has to grant it. Absent: they speak for the host.
 */
const as = Schema.optional(ServiceName)

const systemName = "[a-z_][a-z0-9_.-]{0,31}\\$?|[0-9]{1,10}"

const notByUnit =
  "cannot be asked: which process has a socket is for root alone to see; give the unit a user of its own and write uid, or a unix socket that no other may open (docs/identity.md)"

/** What people know from elsewhere, and nobody here can be sure of. */
const otherChecks = new Map(["unit", "cgroup", "pid"].map((key) => [key, notByUnit]))

const Uid = Schema.Union(
  Schema.Int.pipe(Schema.between(0, 2 ** 32 - 2)),
  Schema.String.annotations({ [missedKeys]: otherChecks }).pipe(
    Schema.pattern(new RegExp(`^(${systemName})$`, "i"))
  )
).annotations({ identifier: "Uid", description: "a user of this host, by name or number" })

const both = "is written http, which takes HTTP/1.1 and HTTP/2 alike"
const sealed =
  "cannot be read on its way; write tcp, which carries its connections as they are, or auto, which sends them by the name they ask for"

/** What programs speak to a port: HTTP/1.1 or HTTP/2, of which gRPC is one; or anything else; or either. */
const PortProtocol = Schema.Literal("http", "grpc", "tcp", "auto").annotations({
  [missedWords]: new Map([
    ["http2", both],
    ["h2", both],
    ["h2c", both],
    ["https", sealed],
    ["tls", sealed]
  ])
})

const Origin = Schema.String.pipe(
  Schema.pattern(
    /^(\*|[a-z][a-z0-9+.-]*:\/\/[a-z0-9._-]+(:\d{1,5})?|[a-z][a-z0-9+.-]*:\/\/\[[0-9a-f:.]+\](:\d{1,5})?)$/,
    {
      description: "an origin, like https://shop.example",
      message: ({ actual }) =>
        `${quote(actual)} is not an origin; write it in small letters and without a path, like https://shop.example or http://localhost:5173, or * for all pages`
    }
  )
)

/** Calls of gRPC-Web are made ones of gRPC there. */
export const GrpcWebConfig = Schema.Struct({
  /** Pages of these may call, beside those of the port's own origin. */
  origins: Schema.optionalWith(
    Schema.Array(Origin).pipe(
      Schema.maxItems(64),
      Schema.filter(
        noneTwice((origin: string) => origin, "once is enough"),
        {
          jsonSchema: { uniqueItems: true }
        }
      )
    ),
    { default: () => [] }
  )
}).annotations({ identifier: "GrpcWebConfig" })
export type GrpcWebConfig = typeof GrpcWebConfig.Type

export const Mode = Schema.String.pipe(
  Schema.pattern(/^0?[0-7]{3}$/, {
    description: "permissions of a socket in octal digits, like 0660",
    message: ({ actual }) => `${quote(actual)} is not a mode in octal digits; write it like "0660"`
  })
)

export const Owner = Schema.String.pipe(
  Schema.pattern(new RegExp(`^(${systemName})?(:(${systemName}))?$`, "i"), {
    description: "user, user:group or :group, by name or number",
    message: ({ actual }) =>
      `${quote(actual)} is not an owner; write user, user:group or :group, by name or number`
  }),
  Schema.minLength(1)
)

const notOfSockets =
  "is for ports; of a unix socket its mode and its owner say who may connect, and the system sees to it"

const ofSockets = (said: Readonly<Record<string, string | undefined>>) =>
  Object.entries(said).flatMap(([key, value]) =>
    value === undefined
      ? []
      : [{ path: [key], message: "is for unix sockets; of a port write uid" }]
  )

/** A local port, or unix socket, that always reaches one service. */
export const UpstreamConfig = Schema.Struct({
  service: ServiceName,
  listen: AnyListenAddress,
  as,
  /** Of a unix socket: who may connect. Default: only the user of the node, "0600". */
  mode: Schema.optional(Mode),
  /** Of a unix socket: whose it becomes, which only root can say of others than itself. */
  owner: Schema.optional(Owner),
  /** Of a port: the user whose processes may connect (Linux). Default: all of this host. */
  uid: Schema.optional(Uid),
  /** Must be said of an address that other hosts reach. */
  allowRemote,
  /**
   * `auto`: told by the first bytes of each connection. HTTP of either version is HTTP; TLS stays as it is and goes to the
   * service that it asks for by name (SNI), or else to `service`; all the rest is TCP.
   */
  protocol: Schema.optionalWith(PortProtocol, { default: () => "tcp" as const }),
  /** Of `auto`: a client that says nothing for so long waits for its server to speak, and is TCP. 1ms–10s, default 1s. */
  detect: Schema.optional(detectTime),
  /** For browsers. Absent: gRPC-Web is passed on as any request is. */
  grpcWeb: Schema.optional(GrpcWebConfig)
}).pipe(
  Schema.filter(
    ({ allowRemote, detect, grpcWeb, listen, mode, owner, protocol, service, uid }) => {
      const issues =
        detect === undefined || protocol === "auto"
          ? []
          : [{ path: ["detect"], message: "is of protocol: auto; all others know what is spoken" }]
      if (grpcWeb !== undefined && protocol === "tcp") {
        const message =
          "is for ports that read HTTP, and this one carries TCP; write protocol: grpc"
        issues.push({ path: ["grpcWeb"], message })
      }
      if (unixPathOf(listen.host) !== undefined) {
        return uid === undefined ? issues : [...issues, { path: ["uid"], message: notOfSockets }]
      }
      issues.push(...ofSockets({ mode, owner }))
      if (allowRemote || isLoopback(listen.host)) return issues
      const who = `calls ${service} with this node's rights`
      const message = exposed(formatHostPort(listen), who, "allowRemote: true beside it")
      return [...issues, { path: ["listen"], message }]
    },
    { identifier: "UpstreamConfig", jsonSchema: {} }
  )
)
export type UpstreamConfig = typeof UpstreamConfig.Type

/** Whoever reaches it calls what this node may call. */
const Proxy = guarded(ListenAddress, "calls services with this node's rights")

/** Whoever reaches one of these speaks for its service. */
export const CallerListenerConfig = Schema.Struct({
  listen: AdminListen,
  as,
  /** Of a unix socket: who may connect. Default: only the user of the node, "0600". */
  mode: Schema.optional(Mode),
  /** Of a unix socket: whose it becomes, which only root can say of others than itself. */
  owner: Schema.optional(Owner),
  /** Of a port: the user whose processes may connect (Linux). Default: all of this host. */
  uid: Schema.optional(Uid),
  /** Must be said of an address that other hosts reach. */
  allowRemote
}).pipe(
  Schema.filter(
    ({ allowRemote, as, listen, mode, owner, uid }) => {
      if ("path" in listen) {
        return uid === undefined ? [] : [{ path: ["uid"], message: notOfSockets }]
      }
      const issues = ofSockets({ mode, owner })
      if (allowRemote || isLoopback(listen.host)) return issues
      const who = as === undefined ? "calls services with this node's rights" : `speaks for ${as}`
      const message = exposed(formatHostPort(listen), who, "allowRemote: true beside it")
      return [...issues, { path: ["listen"], message }]
    },
    { identifier: "CallerListenerConfig", jsonSchema: {} }
  )
)
export type CallerListenerConfig = typeof CallerListenerConfig.Type

export const OutboundConfig = Schema.Struct({
  /** The same for programs that speak for a service: each listener says for which. */
  listeners: Schema.optionalWith(Schema.Array(CallerListenerConfig).pipe(Schema.maxItems(256)), {
    default: () => []
  }),
  /** The proxy for `http://<service>.mesh`, by Host or absolute-form. */
  http: Schema.optionalWith(Schema.Union(Schema.Literal("off"), Proxy), {
    default: () => ({ listen: { host: "127.0.0.1", port: 4140 }, allowRemote: false })
  }),
  /** For browsers, at the proxy, at `listeners` and where services are called by name; `upstreams` say their own. */
  grpcWeb: Schema.optional(GrpcWebConfig)
}).annotations({ identifier: "OutboundConfig" })
