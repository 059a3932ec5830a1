/**
 * Everything a node can be told, as one Schema: `skein.yaml`, `.json` and `.ts` are its encoded
 * side, and so is the JSON Schema for editors. Every default is here. Durations are written `2s`
 * and are milliseconds once decoded; addresses are written `host:port`.
 */
import { hostname } from "node:os"
import { Either, Schema } from "effect"
import { isLoopback } from "../model/Loopback.ts"
import { recordLimits } from "../model/NodeRecord.ts"
import type { Problem } from "../model/Problem.ts"
import { type DurationText, timeLimit } from "../schema/Duration.ts"
import { explain, quote } from "../schema/ExplainIssue.ts"
import { NodeName, ServiceName } from "../schema/NamesSchema.ts"
import { Policy, type PolicyInput } from "../schema/PolicySchema.ts"
import { PolicyWritten } from "../schema/PolicyWritten.ts"
import { missedWords } from "../schema/SchemaWords.ts"
import { ConfigError } from "./ConfigProblem.ts"
import { addressRules, noneTwice, protocolRules, uniqueNames } from "./ConfigRules.ts"
import {
  type AdminAddress,
  DialAddress,
  formatHostPort,
  ListenAddress,
  UnixAddress
} from "./HostPort.ts"
import { AnnounceMultiaddr, ListenMultiaddr } from "./Multiaddr.ts"

const Time = timeLimit("10ms")
const time = (text: DurationText) =>
  Schema.optionalWith(Time, { default: () => Schema.decodeSync(Time)(text) })

/** The host's name made fit to be a node's: what a node is called when nobody says. */
export const hostNodeName = (): NodeName =>
  Schema.decodeUnknownSync(NodeName)(
    hostname()
      .replaceAll(/[^A-Za-z0-9._-]/g, "-")
      .replace(/^[._-]+/, "")
      .slice(0, 128) || "node"
  )

/** More only share processors. */
export const maxThreads = 64

const Threads = Schema.Union(
  Schema.Literal("auto"),
  Schema.Int.pipe(Schema.between(0, maxThreads))
).annotations({
  identifier: "Threads",
  description: `auto, or a number from 0 to ${maxThreads}`
})

/** How other nodes of the mesh are found besides by what is known of them. */
const Discovery = Schema.Struct({
  /**
   * Nodes of one mesh on one LAN tell each other where they are, by multicast DNS: each its port and its
   * peer id, and a hash of the mesh. Default false.
   */
  mdns: Schema.optionalWith(Schema.Boolean, { default: () => false })
}).annotations({ identifier: "Discovery" })

export const NodeSection = Schema.Struct({
  /** Default: the host's name. */
  name: Schema.optionalWith(NodeName, { default: hostNodeName }),
  /** Keys (0600), certificate, catalogue. Relative to the config file. */
  dataDir: Schema.optionalWith(Schema.NonEmptyString, { default: () => "./data" }),
  /** Where other nodes connect. All interfaces by default: a stranger gets no further than Noise. */
  listen: Schema.optionalWith(
    Schema.Array(ListenMultiaddr).pipe(Schema.minItems(1), Schema.maxItems(recordLimits.addresses)),
    { default: () => ["/ip4/0.0.0.0/tcp/4001"] }
  ),
  /** What others should dial, when it is not what we listen on (NAT, container). */
  announce: Schema.optional(
    Schema.Array(AnnounceMultiaddr).pipe(
      Schema.maxItems(recordLimits.addresses),
      Schema.filter(noneTwice(String, "once is enough"), { jsonSchema: { uniqueItems: true } })
    )
  ),
  /**
   * Threads that carry requests, beside the one that knows the mesh. `auto`: one for each processor
   * that this process may use, at most 8, and fewer where the limit of open files is low. 0: requests
   * share the one thread. Default `auto`; 0 for a node inside a program, whose calls are made in the
   * program's own thread.
   */
  threads: Schema.optionalWith(Threads, { default: () => "auto" as const }),
  /**
   * It may end at any time and not come back, like a job or an instance that was scaled: when it is dead,
   * the mesh forgets it within a minute, without being told. Default: false.
   */
  ephemeral: Schema.optionalWith(Schema.Boolean, { default: () => false }),
  /** Like `eu-west/1a`: told to the mesh and shown to people. Calls do not prefer a zone yet. */
  zone: Schema.optional(
    Schema.String.pipe(
      Schema.pattern(/^[A-Za-z0-9._/-]{1,128}$/, {
        description: "a zone, like eu-west/1a",
        message: ({ actual }) =>
          `${quote(actual)} is not a zone: 1–128 of letters, digits, '.', '_', '-', '/'`
      })
    )
  ),
  discovery: Schema.optionalWith(Discovery, { default: () => ({ mdns: false }) })
}).annotations({ identifier: "NodeSection" })

/** Where the admin API listens, and where commands look for it. */
export const AdminListen = Schema.Union(UnixAddress, ListenAddress).annotations({
  description: "host:port or unix:/path"
})

/** What a listener beyond this host has to say: nothing may be open to others by oversight. */
const allowRemote = Schema.optionalWith(Schema.Boolean, { default: () => false })

/** `who`: what everybody who reaches the listener can do. */
const exposed = (listen: unknown, who: string, mend: string): string =>
  `${quote(listen)} can be reached from other hosts, and whoever reaches it ${who}; use 127.0.0.1, or write ${mend}`

/** `127.0.0.1:4191`, or with `allowRemote` as a mapping, which an address of others must have. */
const guarded = <A extends AdminAddress, I>(listen: Schema.Schema<A, I>, who: string) => {
  const Detail = Schema.Struct({ listen, allowRemote })
  return Schema.transform(Schema.Union(listen, Detail), Schema.typeSchema(Detail), {
    strict: true,
    decode: (written) => ("listen" in written ? written : { listen: written, allowRemote: false }),
    encode: (value) => (value.allowRemote ? value : value.listen)
  }).pipe(
    Schema.filter(
      ({ listen, allowRemote }) => allowRemote || "path" in listen || isLoopback(listen.host),
      {
        message: ({ actual }) => exposed(actual, who, "{ listen: …, allowRemote: true }"),
        jsonSchema: {}
      }
    )
  )
}

/** Whoever reaches it runs the node. */
const AdminPort = guarded(AdminListen, "controls this node")

/** `off`: nobody can ask the node anything, `skein status` included. */
export const Admin = Schema.Union(Schema.Literal("off"), AdminPort)

const HttpCheck = Schema.Struct({
  /** GET must answer 200–399. */
  path: Schema.optionalWith(
    Schema.String.pipe(
      Schema.pattern(/^\/[!-~]*$/, {
        description: "a path, like /healthz",
        message: ({ actual }) => `${quote(actual)} is not a path; it starts with /`
      })
    ),
    { default: () => "/" }
  ),
  interval: time("2s"),
  timeout: time("1s")
}).annotations({ identifier: "HttpCheck" })

const TcpCheck = Schema.Struct({
  interval: time("2s"),
  timeout: time("1s")
}).annotations({ identifier: "TcpCheck" })

/** How the owner asks its endpoint whether it is well: exactly one kind. None: taken as healthy. */
export const HealthCheck = Schema.Union(
  Schema.Struct({ http: HttpCheck }),
  Schema.Struct({ tcp: TcpCheck })
).annotations({ identifier: "HealthCheck" })
export type HealthCheck = typeof HealthCheck.Type

const notYet =
  "is not carried yet; write tcp, which carries its connections as they are: balanced as a whole, without timeouts or retries of single calls"
const sealed =
  "cannot be read on its way; write tcp, which carries its connections as they are, or http if the program also speaks it"

/** What a node can carry. Records of other nodes may say more (model/NodeRecord.ts). */
const CarriedProtocol = Schema.Literal("http", "tcp").annotations({
  [missedWords]: new Map([
    ["grpc", notYet],
    ["http2", notYet],
    ["h2", notYet],
    ["h2c", notYet],
    ["https", sealed],
    ["tls", sealed]
  ])
})

const serviceFields = {
  name: ServiceName,
  protocol: Schema.optionalWith(CarriedProtocol, { default: () => "http" as const }),
  health: Schema.optional(HealthCheck),
  /** Relative share of traffic of each endpoint, 1–1000. */
  weight: Schema.optionalWith(Schema.Int.pipe(Schema.between(1, 1_000)), { default: () => 100 }),
  /** For calls to it from anywhere, under what holds in the mesh and what a caller's config says. */
  policy: Schema.optional(PolicyWritten)
}
const Addresses = Schema.Array(DialAddress).pipe(
  Schema.minItems(1),
  Schema.maxItems(recordLimits.endpointsPerService),
  Schema.filter(noneTwice(formatHostPort, "it is one instance all the same"), {
    jsonSchema: { uniqueItems: true }
  })
)

/** A service this host offers: `address` for one instance, `addresses` for several. */
export const ServiceConfig = Schema.transform(
  Schema.Struct({
    ...serviceFields,
    address: Schema.optional(DialAddress),
    addresses: Schema.optional(Addresses)
  }).pipe(
    Schema.filter(
      ({ address, addresses }) =>
        (address === undefined) !== (addresses === undefined) ||
        (address === undefined
          ? "has no address; write address: 127.0.0.1:PORT"
          : "has both address and addresses; keep one"),
      { jsonSchema: {} }
    )
  ),
  Schema.typeSchema(Schema.Struct({ ...serviceFields, addresses: Addresses })),
  {
    strict: true,
    decode: ({ address, addresses, ...rest }) => ({
      ...rest,
      addresses: addresses ?? (address === undefined ? [] : [address])
    }),
    encode: (service) => service
  }
).annotations({ identifier: "ServiceConfig" })
export type ServiceConfig = typeof ServiceConfig.Type

/**
 * The service that programs who use a listener are, and for which their calls speak. The node's
 * certificate has to grant it. Absent: they speak for the host.
 */
const as = Schema.optional(ServiceName)

const systemName = "[a-z_][a-z0-9_.-]{0,31}\\$?|[0-9]{1,10}"

const Uid = Schema.Union(
  Schema.Int.pipe(Schema.between(0, 2 ** 32 - 2)),
  Schema.String.pipe(Schema.pattern(new RegExp(`^(${systemName})$`, "i")))
).annotations({ identifier: "Uid", description: "a user of this host, by name or number" })

/** A local port that always reaches one service. */
export const UpstreamConfig = Schema.Struct({
  service: ServiceName,
  listen: ListenAddress,
  as,
  /** The user whose processes may connect (Linux). Default: all of this host. */
  uid: Schema.optional(Uid),
  /** Must be said of an address that other hosts reach. */
  allowRemote,
  protocol: Schema.optionalWith(CarriedProtocol, { default: () => "tcp" as const })
}).pipe(
  Schema.filter(
    ({ allowRemote, listen, service }) => {
      if (allowRemote || isLoopback(listen.host)) return []
      const who = `calls ${service} with this node's rights`
      const message = exposed(formatHostPort(listen), who, "allowRemote: true beside it")
      return [{ path: ["listen"], message }]
    },
    { identifier: "UpstreamConfig", jsonSchema: {} }
  )
)
export type UpstreamConfig = typeof UpstreamConfig.Type

const CollectorUrl = Schema.String.pipe(
  Schema.filter((text) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol), {
    description: "a collector's URL, like http://127.0.0.1:4318",
    message: ({ actual }) =>
      `${quote(actual)} is not an http:// or https:// URL of a collector, like http://127.0.0.1:4318`,
    jsonSchema: { format: "uri" }
  })
)

/** Where the access log goes: nowhere, a standard stream, or a file (relative to the config). */
export const AccessLog = Schema.Union(
  Schema.Literal("off", "stdout", "stderr"),
  Schema.String.pipe(
    Schema.pattern(/\//, {
      description: "a path with a /",
      message: ({ actual }) =>
        `${quote(actual)} is none of off, stdout, stderr and not a path with a /`
    })
  )
)

export const TelemetryConfig = Schema.Struct({
  /** OTLP over HTTP; absent: no traces are exported. */
  otlp: Schema.optional(CollectorUrl),
  /** Share of new traces that are recorded, 0–1. A sampled caller is always followed. */
  sample: Schema.optionalWith(Schema.Number.pipe(Schema.between(0, 1)), { default: () => 0.01 }),
  /** One JSON object per exchange. */
  accessLog: Schema.optionalWith(AccessLog, { default: () => "off" as const })
}).annotations({ identifier: "TelemetryConfig" })
export type TelemetryConfig = typeof TelemetryConfig.Type

/** Whoever reaches it calls what this node may call. */
const Proxy = guarded(ListenAddress, "calls services with this node's rights")

const Mode = Schema.String.pipe(
  Schema.pattern(/^0?[0-7]{3}$/, {
    description: "permissions of a socket in octal digits, like 0660",
    message: ({ actual }) => `${quote(actual)} is not a mode in octal digits; write it like "0660"`
  })
)

const Owner = Schema.String.pipe(
  Schema.pattern(new RegExp(`^(${systemName})?(:(${systemName}))?$`, "i"), {
    description: "user, user:group or :group, by name or number",
    message: ({ actual }) =>
      `${quote(actual)} is not an owner; write user, user:group or :group, by name or number`
  }),
  Schema.minLength(1)
)

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
        const message =
          "is for ports; of a unix socket its mode and its owner say who may connect, and the system sees to it"
        return uid === undefined ? [] : [{ path: ["uid"], message }]
      }
      const issues = Object.entries({ mode, owner }).flatMap(([key, value]) =>
        value === undefined
          ? []
          : [{ path: [key], message: "is for unix sockets; of a port write uid" }]
      )
      if (allowRemote || isLoopback(listen.host)) return issues
      const who = as === undefined ? "calls services with this node's rights" : `speaks for ${as}`
      const message = exposed(formatHostPort(listen), who, "allowRemote: true beside it")
      return [...issues, { path: ["listen"], message }]
    },
    { identifier: "CallerListenerConfig", jsonSchema: {} }
  )
)
export type CallerListenerConfig = typeof CallerListenerConfig.Type

const OutboundConfig = Schema.Struct({
  /** The same for programs that speak for a service: each listener says for which. */
  listeners: Schema.optionalWith(Schema.Array(CallerListenerConfig).pipe(Schema.maxItems(256)), {
    default: () => []
  }),
  /** The proxy for `http://<service>.mesh`, by Host or absolute-form. */
  http: Schema.optionalWith(Schema.Union(Schema.Literal("off"), Proxy), {
    default: () => ({ listen: { host: "127.0.0.1", port: 4140 }, allowRemote: false })
  })
}).annotations({ identifier: "OutboundConfig" })

/** Who came in, was refused or denied, and what was changed by whom: one JSON line each. */
const AuditConfig = Schema.Union(
  Schema.Literal("off"),
  Schema.Struct({
    /** Relative to the config file. Default: `audit.log` in the data directory. */
    file: Schema.optional(Schema.NonEmptyString),
    /** A file is moved aside (`audit.log.1`, …) before it has more bytes than this. 64 KiB–1 GiB. */
    maxBytes: Schema.optionalWith(Schema.Int.pipe(Schema.between(65_536, 1_073_741_824)), {
      default: () => 8_388_608
    }),
    /** Files there are at most, the one that is written among them. */
    files: Schema.optionalWith(Schema.Int.pipe(Schema.between(1, 100)), { default: () => 4 })
  }).annotations({ identifier: "AuditConfig" })
)
export type AuditConfig = typeof AuditConfig.Type

const DrainConfig = Schema.Struct({
  /** What is still running then is cut off. */
  deadline: time("30s")
}).annotations({ identifier: "DrainConfig" })

const empty = () => []

const Fields = Schema.Struct({
  node: Schema.optionalWith(NodeSection, { default: () => NodeSection.make({}) }),
  admin: Schema.optionalWith(Admin, {
    default: () => ({ listen: { host: "127.0.0.1", port: 4191 }, allowRemote: false })
  }),
  outbound: Schema.optionalWith(OutboundConfig, { default: () => OutboundConfig.make({}) }),
  services: Schema.optionalWith(
    Schema.Array(ServiceConfig).pipe(
      Schema.maxItems(recordLimits.services),
      Schema.filter(uniqueNames, { jsonSchema: {} })
    ),
    { default: empty }
  ),
  upstreams: Schema.optionalWith(Schema.Array(UpstreamConfig).pipe(Schema.maxItems(256)), {
    default: empty
  }),
  /** By service name, for calls from this node. A service without one has the defaults. */
  policies: Schema.optionalWith(Schema.Record({ key: ServiceName, value: Policy }), {
    default: () => ({})
  }),
  telemetry: Schema.optionalWith(TelemetryConfig, { default: () => TelemetryConfig.make({}) }),
  audit: Schema.optionalWith(AuditConfig, { default: () => ({ maxBytes: 8_388_608, files: 4 }) }),
  drain: Schema.optionalWith(DrainConfig, { default: () => DrainConfig.make({}) })
})

const Checked = Fields.pipe(
  Schema.filter((config) => [...addressRules(config), ...protocolRules(config)], {
    identifier: "NodeConfig",
    jsonSchema: {},
    parseOptions: { errors: "all", onExcessProperty: "error" }
  })
)

const Written = Schema.Struct({
  /**
   * `policies` as they stand in the config: what they leave out may be said by the mesh, or by the service's own
   * node. Absent in a config that nobody wrote; then all of `policies` counts as said.
   */
  writtenPolicies: Schema.optional(
    Schema.Record({ key: Schema.String, value: Schema.encodedSchema(Policy) })
  )
})

/** Without keys that are undefined, so that it can go to another thread as it is. */
const plain = (
  policies: Readonly<Record<string, PolicyInput>>
): Readonly<Record<string, PolicyInput>> => JSON.parse(JSON.stringify(policies))

/** Its type is said, since declarations cannot name all that it is made of. */
type Whole = Schema.Schema<
  Schema.Schema.Type<typeof Fields> & Schema.Schema.Type<typeof Written>,
  Schema.Schema.Encoded<typeof Checked>
>

/** A whole node's config. Unknown keys are errors. */
export const NodeConfig: Whole = Schema.transform(
  Checked,
  Schema.extend(Schema.typeSchema(Fields), Written),
  {
    strict: true,
    decode: (config, { policies = {} }) => ({ ...config, writtenPolicies: plain(policies) }),
    encode: ({ writtenPolicies: _, ...config }) => config
  }
)
export type NodeConfig = typeof NodeConfig.Type
/** As written in a file: everything optional, durations and addresses as text. */
export interface NodeConfigInput extends Schema.Schema.Encoded<typeof NodeConfig> {}

const decode = Schema.decodeUnknownEither(NodeConfig)

/**
 * The rules between sections are only checked on a config that decodes: so they are asked again
 * of what is left without the sections that did not.
 */
const acrossSections = (value: unknown, found: ReadonlyArray<Problem>): ReadonlyArray<Problem> => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return []
  const wrong = new Set(found.map(({ path: [section] }) => String(section)))
  const rest = Object.fromEntries(Object.entries(value).filter(([section]) => !wrong.has(section)))
  const known = new Set(found.map(({ path, message }) => JSON.stringify([path, message])))
  return Either.match(decode(rest), {
    onLeft: ({ issue }) =>
      explain(issue).filter(({ path, message }) => !known.has(JSON.stringify([path, message]))),
    onRight: () => []
  })
}

/** A config from whatever was written, or every problem it has. */
export const decodeNodeConfig = (
  value: unknown
): Either.Either<NodeConfig, ReadonlyArray<Problem>> =>
  Either.mapLeft(decode(value), ({ issue }) => {
    const found = explain(issue)
    return [...found, ...acrossSections(value, found)]
  })

/** A config from a value of the program's own. Throws a `ConfigError` that tells every mistake. */
export const makeNodeConfig = (input: NodeConfigInput): NodeConfig =>
  Either.getOrThrowWith(decodeNodeConfig(input), (found) => {
    const problems = found.map((one) => ({ ...one, source: "config", position: undefined }))
    return new ConfigError({ code: "config_invalid", problems })
  })

/** For `skein.config.ts`: gives the literal its type, so the compiler checks it. */
export const defineConfig = (input: NodeConfigInput): NodeConfigInput => input
