/**
 * Who may call what, as a person writes it: the body of a setting of kind `access`. What it decodes to
 * is in model/Access.ts, which says how rules are taken together.
 */
import { Either, ParseResult, Predicate, Schema } from "effect"
import type {
  AccessRule as AccessRuleModel,
  AccessSetting,
  GrpcPattern,
  HeaderPattern
} from "../model/Access.ts"
import {
  type CallerPattern,
  formatCallerPattern,
  parseCallerPattern
} from "../model/CallerPattern.ts"
import { formatPathPattern, type PathPattern, parsePathPattern } from "../model/PathPattern.ts"
import { quote } from "./ExplainIssue.ts"

/** Of one setting, in each of its lists; the bound on a setting's bytes comes sooner as a rule. */
export const accessLimits = { rules: 1_000, entries: 64 } as const

/** Text that means something, or not, and then why. */
const meaning = <A, I>(
  value: Schema.Schema<A, I>,
  identifier: string,
  description: string,
  parse: (text: string) => NoInfer<A> | { readonly wrong: string },
  format: (value: NoInfer<A>) => string
) =>
  Schema.transformOrFail(Schema.String.annotations({ description }), Schema.typeSchema(value), {
    strict: true,
    decode: (text, _, ast) => {
      const read = parse(text)
      return isWrong(read)
        ? ParseResult.fail(new ParseResult.Type(ast, text, `${quote(text)} ${read.wrong}`))
        : ParseResult.succeed(read)
    },
    encode: (value) => ParseResult.succeed(format(value))
  }).annotations({ identifier, description })

/** What `parse` made, which nobody else makes. */
const of = <A extends object>(key: keyof A & string) =>
  Schema.declare((value): value is A => Predicate.hasProperty(value, key))

const isWrong = (read: unknown): read is { readonly wrong: string } =>
  typeof read === "object" && read !== null && "wrong" in read

const callers =
  "a service (orders, shop-*), a host (host/db-1, host/ops-*), * for everybody, or of another mesh MESH//service/orders"

/** Whom a rule is about. */
export const CallerPatternText = meaning(
  of<CallerPattern>("kind"),
  "CallerPattern",
  "a caller, like orders, host/ops-* or *",
  (text) => parseCallerPattern(text) ?? { wrong: `names no caller; write ${callers}` },
  formatCallerPattern
)

/** Which path, or all under one. */
export const PathPatternText = meaning(
  of<PathPattern>("segments"),
  "PathPattern",
  "a path, like /charge, /orders/{id} or /admin/*",
  (text) => {
    const read = parsePathPattern(text)
    return typeof read === "string" ? { wrong: read } : read
  },
  formatPathPattern
)

const grpcService = /^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$/
const grpcMethod = /^[A-Za-z_]\w*$/

/** `shop.v1.Payments/Charge`: one method. */
export const isGrpcName = (text: string): boolean => {
  const [service = "", method = "", ...more] = text.split("/")
  return more.length === 0 && grpcService.test(service) && grpcMethod.test(method)
}

const GrpcPatternText = meaning(
  of<GrpcPattern>("service"),
  "GrpcPattern",
  "a gRPC service or method, like shop.v1.Payments or shop.v1.Payments/Charge",
  (text) => {
    const [service = "", method, ...more] = text.split("/")
    const fits = grpcService.test(service) && more.length === 0
    if (fits && (method === undefined || method === "*")) return { service }
    if (fits && method !== undefined && grpcMethod.test(method)) return { service, method }
    return {
      wrong: "is no gRPC service or method; write package.Service or package.Service/Method"
    }
  },
  ({ method, service }) => (method === undefined ? service : `${service}/${method}`)
)

/** Methods are case-sensitive (RFC 9110 §9.1): one in small letters would never be met. */
const Method = Schema.String.pipe(
  Schema.pattern(/^[A-Z][A-Z-]{0,31}$/, {
    description: "a method, like POST",
    message: ({ actual }) =>
      actual === "*"
        ? '"*" is every method; leave methods out'
        : `${quote(actual)} is not a method; write it in capitals, like POST`
  })
)

const Port = Schema.Number.pipe(
  Schema.int(),
  Schema.between(1, 65_535, { description: "a port, 1 to 65535" })
)

/** `payments`, `shop-*` or `*`. */
const ServicePattern = Schema.String.pipe(
  Schema.pattern(/^(\*|[a-z0-9][a-z0-9-]{0,61}\*|[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)$/, {
    description: "a service, like payments, shop-* or *",
    message: ({ actual }) =>
      `${quote(actual)} is not a service; write its name, what names begin with (shop-*), or * for all`
  })
)

/** One of them alone, or a list with at least one. */
const oneOrMore = <A, I>(item: Schema.Schema<A, I>, description: string) =>
  Schema.transform(
    Schema.Union(item, Schema.NonEmptyArray(item).pipe(Schema.maxItems(accessLimits.entries))),
    Schema.typeSchema(Schema.Array(item)),
    {
      strict: true,
      decode: (written): ReadonlyArray<A> => (isList(written) ? written : [written]),
      encode: (list): A | readonly [A, ...ReadonlyArray<A>] => {
        const [first, ...rest] = list
        if (first === undefined) throw new Error("an empty list has no other form")
        return rest.length === 0 ? first : [first, ...rest]
      }
    }
  ).annotations({ description })

const isList = <A>(written: A | ReadonlyArray<A>): written is ReadonlyArray<A> =>
  Array.isArray(written)

const headerName = /^[a-z0-9!#$%&'*+.^_`|~-]{1,64}$/

const HeaderName = Schema.String.pipe(
  Schema.pattern(headerName, {
    description: "a header's name in small letters, like x-tenant",
    message: ({ actual }) =>
      `${quote(actual)} is not a header's name; write it in small letters, like x-tenant`
  })
)

const HeaderValue = Schema.String.pipe(
  Schema.filter((value) => value === value.trim() && value !== "" && value.length <= 1_024, {
    description: "a header's value, its beginning (acme-*), or * for any",
    message: ({ actual }) =>
      actual === ""
        ? "is empty; write a value, its beginning (acme-*), or * for any"
        : `${quote(actual)} begins or ends with a blank, or is longer than 1024 characters`
  })
)

const Headers = Schema.transform(
  Schema.Record({ key: HeaderName, value: HeaderValue }),
  Schema.Array(Schema.typeSchema(of<HeaderPattern>("name"))),
  {
    strict: true,
    decode: (written) =>
      Object.entries(written).map(
        ([name, text]): HeaderPattern =>
          text.endsWith("*")
            ? { name, value: text.slice(0, -1), open: true }
            : { name, value: text, open: false }
      ),
    encode: (headers) =>
      Object.fromEntries(
        headers.map(({ name, open, value }) => [name, `${value}${open ? "*" : ""}`])
      )
  }
).annotations({ description: "a mapping of headers, like x-tenant: acme" })

type Issues = Array<Schema.FilterIssue>

/** Everything that is there has to be met. */
export const AccessRule = Schema.Struct({
  /** Who calls. */
  from: oneOrMore(CallerPatternText, "a caller, like orders, host/ops-* or *, or a list of them"),
  /** HTTP methods; absent: all. CONNECT: tunnels. */
  methods: Schema.optional(oneOrMore(Method, "a method, like POST, or a list of them")),
  /** Absent: all. */
  path: Schema.optional(
    oneOrMore(PathPatternText, "a path, like /charge, /orders/{id} or /admin/*, or a list of them")
  ),
  /** Each of them. `upgrade` is what is asked for with Connection: upgrade, `host` the authority. */
  headers: Schema.optional(Headers),
  /** Says method and path. */
  grpc: Schema.optional(oneOrMore(GrpcPatternText, "a gRPC service or method, or a list of them")),
  /** Where the service's program listens; absent: anywhere. */
  port: Schema.optional(oneOrMore(Port, "a port or a list of them"))
}).pipe(
  Schema.filter(
    ({ grpc, headers, methods, path }): Issues => {
      const issues: Issues = []
      if (grpc !== undefined && (methods ?? path) !== undefined) {
        const message = "says method and path by itself; leave methods and path out, or grpc"
        issues.push({ path: ["grpc"], message })
      }
      const tunnel = methods?.includes("CONNECT") === true
      if (tunnel && methods.length === 1 && (path ?? headers) !== undefined) {
        const what = path === undefined ? "headers" : "path"
        const message = "would never apply: a tunnel (CONNECT) has neither path nor headers"
        issues.push({ path: [what], message })
      }
      return issues
    },
    {
      identifier: "AccessRule",
      jsonSchema: {},
      parseOptions: { errors: "all", onExcessProperty: "error" }
    }
  )
)

const Rules = Schema.Array(AccessRule).pipe(Schema.maxItems(accessLimits.rules))

/** Of a setting of kind `access`, what stands beside its kind and name. */
export const AccessBody = Schema.Struct({
  /** Whom the rules are about. */
  service: Schema.optional(
    oneOrMore(ServicePattern, "a service, like payments, shop-* or *, or a list of them")
  ),
  /** `audit`: what the rules say is counted and logged, and holds for nobody. Default `enforce`. */
  mode: Schema.optional(Schema.Literal("enforce", "audit")),
  /** Who may. With none, nobody. */
  allow: Schema.optional(Rules),
  /** Who may not, whatever is allowed. */
  deny: Schema.optional(Rules),
  /** What holds for services that no setting names; stands alone. Without any, `allow`. */
  default: Schema.optional(Schema.Literal("allow", "deny"))
}).pipe(
  Schema.filter(
    (body): Issues => {
      const { allow, deny, service } = body
      if (body.default !== undefined) {
        return (["service", "allow", "deny"] as const).flatMap((key) =>
          body[key] === undefined
            ? []
            : [{ path: [key], message: "does not go with default; write two settings" }]
        )
      }
      if (service === undefined) {
        const message =
          "is missing; expected a service, like payments, shop-* or *, or a list of them"
        return [{ path: ["service"], message }]
      }
      if (allow !== undefined || deny !== undefined) return []
      const message =
        "is missing, and so is deny: write who may call it, or allow: [] to say that nobody may"
      return [{ path: ["allow"], message }]
    },
    {
      identifier: "AccessBody",
      jsonSchema: {},
      parseOptions: { errors: "all", onExcessProperty: "error" }
    }
  )
)
export type AccessBody = typeof AccessBody.Type
/** As it is written. */
export interface AccessBodyInput extends Schema.Schema.Encoded<typeof AccessBody> {}

export const accessSetting = (name: string, body: AccessBody): AccessSetting => ({
  name,
  mode: body.mode ?? "enforce",
  services: body.service ?? [],
  allow: body.allow ?? [],
  deny: body.deny ?? [],
  ...(body.default === undefined ? {} : { default: body.default })
})

const decodeBody = Schema.decodeUnknownEither(AccessBody)
const decodeRule = Schema.decodeUnknownEither(AccessRule)
const decodeFrom = Schema.decodeUnknownEither(AccessRule.from.fields.from)
const decodeServices = Schema.decodeUnknownEither(oneOrMore(ServicePattern, "a service"))

const everybody: CallerPattern = { kind: "any", name: "", open: true }

/** What a setting means to a node, which may be older than whoever wrote it. */
export interface ReadAccess {
  /** Undefined: not even whom it is about could be read, so it holds for nobody. */
  readonly setting: AccessSetting | undefined
  /** All of it was understood. */
  readonly whole: boolean
}

/**
 * Nothing that is not understood lets anybody through: an allow rule with it is left out, and a deny
 * rule holds as if it were not there, for everybody if need be.
 */
export const readAccess = (name: string, body: unknown): ReadAccess => {
  const read = decodeBody(body)
  if (Either.isRight(read)) return { setting: accessSetting(name, read.right), whole: true }
  if (typeof body !== "object" || body === null) return { setting: undefined, whole: false }
  const fields: Readonly<Record<string, unknown>> = { ...body }
  const services = decodeServices(fields["service"])
  const byDefault = fields["default"]
  const isDefault = byDefault !== undefined && fields["service"] === undefined
  if (Either.isLeft(services) && !isDefault) return { setting: undefined, whole: false }
  return {
    whole: false,
    setting: {
      name,
      mode: fields["mode"] === "audit" ? "audit" : "enforce",
      services: Either.getOrElse(services, () => []),
      allow: listOf(fields["allow"]).flatMap((rule) => Either.match(decodeRule(rule), known)),
      deny: listOf(fields["deny"]).map((rule) =>
        Either.getOrElse(decodeRule(knownPart(rule)), () => ({ from: fromOf(rule) }))
      ),
      ...(isDefault ? { default: byDefault === "allow" ? "allow" : "deny" } : {})
    }
  }
}

const known = {
  onLeft: (): ReadonlyArray<AccessRuleModel> => [],
  onRight: (rule: AccessRuleModel): ReadonlyArray<AccessRuleModel> => [rule]
}

const listOf = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])

const knownPart = (rule: unknown): unknown =>
  typeof rule === "object" && rule !== null
    ? Object.fromEntries(Object.entries(rule).filter(([key]) => key in AccessRule.from.fields))
    : rule

const fromOf = (rule: unknown): ReadonlyArray<CallerPattern> => {
  const from = typeof rule === "object" && rule !== null && "from" in rule ? rule.from : undefined
  return Either.getOrElse(decodeFrom(from), () => [everybody])
}
