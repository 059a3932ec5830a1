/** What this host offers, and how its node finds out whether it is well. */
import { Schema } from "effect"
import { recordLimits } from "../model/NodeRecord.ts"
import { quote } from "../schema/ExplainIssue.ts"
import { ServiceName } from "../schema/NamesSchema.ts"
import { PolicyWritten } from "../schema/PolicyWritten.ts"
import { missedWords } from "../schema/SchemaWords.ts"
import { noneTwice } from "./ConfigRules.ts"
import { detectTime, time } from "./ConfigTime.ts"
import { DialAddress, formatHostPort } from "./HostPort.ts"
import { TlsConfig } from "./TlsConfig.ts"

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

const GrpcCheck = Schema.Struct({
  /** `Check` of grpc.health.v1 must say SERVING of this service. Default: of the program as a whole. */
  service: Schema.optionalWith(
    Schema.String.pipe(
      Schema.pattern(/^[!-~]{0,255}$/, {
        description: "a service of gRPC, like shop.v1.Payments",
        message: ({ actual }) =>
          `${quote(actual)} is not a service of gRPC; write it like shop.v1.Payments`
      })
    ),
    { default: () => "" }
  ),
  interval: time("2s"),
  timeout: time("1s")
}).annotations({ identifier: "GrpcCheck" })

/** How the owner asks its endpoint whether it is well: exactly one kind. None: taken as healthy. */
export const HealthCheck = Schema.Union(
  Schema.Struct({ http: HttpCheck }),
  Schema.Struct({ grpc: GrpcCheck }),
  Schema.Struct({ tcp: TcpCheck })
).annotations({ identifier: "HealthCheck" })
export type HealthCheck = typeof HealthCheck.Type

const sealed =
  "is written http with tls: {} beside it, of a program that only speaks TLS; tcp carries its connections as they are"
const cleartext = "is written http2: with prior knowledge, which is h2c without an upgrade"

/**
 * What a program speaks: HTTP/1.1, HTTP/2 with prior knowledge, gRPC, or anything else. `auto`: HTTP of either
 * version, which it is asked, and whatever else callers of its name begin with, as bytes.
 */
export const ServiceProtocol = Schema.Literal("http", "http2", "grpc", "tcp", "auto").annotations({
  [missedWords]: new Map([
    ["h2", cleartext],
    ["h2c", cleartext],
    ["https", sealed],
    ["tls", sealed]
  ])
})

const serviceFields = {
  name: ServiceName,
  protocol: Schema.optionalWith(ServiceProtocol, { default: () => "http" as const }),
  /** The program only speaks TLS: how its node does, calls and checks alike. Absent: in the clear. */
  tls: Schema.optional(TlsConfig),
  health: Schema.optional(HealthCheck),
  /** Relative share of traffic of each endpoint, 1–1000. */
  weight: Schema.optionalWith(Schema.Int.pipe(Schema.between(1, 1_000)), { default: () => 100 }),
  /** Where callers reach it under its name (`dns`). Default 80; a TCP service needs one to be reached so. */
  port: Schema.optional(Schema.Int.pipe(Schema.between(1, 65_535))),
  /** Of `auto`: who says nothing for so long to the port of its name has a server that speaks first. Default 1s. */
  detect: Schema.optional(detectTime),
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
    ),
    Schema.filter(
      ({ detect, protocol }) =>
        detect === undefined || protocol === "auto"
          ? []
          : [{ path: ["detect"], message: "is of protocol: auto; all others know what is spoken" }],
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
