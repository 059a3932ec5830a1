/**
 * Everything a node can be told, as one Schema: `skein.yaml`, `.json` and `.ts` are its encoded
 * side, and so is the JSON Schema for editors. Every default is here. Durations are written `2s`
 * and are milliseconds once decoded; addresses are written `host:port`.
 */
import { hostname } from "node:os"
import { Either, Schema } from "effect"
import { recordLimits } from "../model/NodeRecord.ts"
import type { Problem } from "../model/Problem.ts"
import { explain, quote } from "../schema/ExplainIssue.ts"
import { NodeName, ServiceName } from "../schema/NamesSchema.ts"
import { Policy, type PolicyInput } from "../schema/PolicySchema.ts"
import { ConfigError } from "./ConfigProblem.ts"
import { addressRules, noneTwice, protocolRules, uniqueNames } from "./ConfigRules.ts"
import { time } from "./ConfigTime.ts"
import { DnsConfig } from "./DnsConfig.ts"
import { AdminListen, guarded } from "./GuardedListen.ts"
import { AnnounceMultiaddr, ListenMultiaddr } from "./Multiaddr.ts"
import { OutboundConfig, UpstreamConfig } from "./OutboundConfig.ts"
import { ProgramsConfigs } from "./ProgramsConfig.ts"
import { ServiceConfig } from "./ServiceConfig.ts"

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

/** Whoever reaches it runs the node. */
const AdminPort = guarded(AdminListen, "controls this node")

/** `off`: nobody can ask the node anything, `skein status` included. */
export const Admin = Schema.Union(Schema.Literal("off"), AdminPort)

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

/** Who came in, was refused or denied, and what was changed by whom: one JSON line each. */
const AuditConfig = Schema.Union(
  Schema.Literal("off"),
  Schema.Struct({
    /** Relative to the config file. Default: `audit.log` in the data directory. `off`: no file. */
    file: Schema.optional(Schema.NonEmptyString),
    /** OTLP over HTTP: each event as a log record, beside the file or instead of it. */
    otlp: Schema.optional(CollectorUrl),
    /** A file is moved aside (`audit.log.1`, …) before it has more bytes than this. 64 KiB–1 GiB. */
    maxBytes: Schema.optionalWith(Schema.Int.pipe(Schema.between(65_536, 1_073_741_824)), {
      default: () => 8_388_608
    }),
    /** Files there are at most, the one that is written among them. */
    files: Schema.optionalWith(Schema.Int.pipe(Schema.between(1, 100)), { default: () => 4 })
  })
    .pipe(
      Schema.filter(
        ({ file, otlp }) =>
          file !== "off" ||
          otlp !== undefined ||
          "has file: off and no otlp, so nothing is kept; write audit: off",
        { jsonSchema: {} }
      )
    )
    .annotations({ identifier: "AuditConfig" })
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
  /** Where Effect programs attach that serve and call without a port. Default: nowhere. */
  programs: Schema.optionalWith(ProgramsConfigs, { default: empty }),
  /** Names that programs of this host just use. Absent: the node answers none. */
  dns: Schema.optional(DnsConfig),
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
