/**
 * What access rules say of a call, by going through all of them as they stand: what the compiled ones
 * are compared with, in what they decide and in what it costs.
 */
import {
  type AccessRule,
  type AccessSetting,
  builtInDefault,
  namesService,
  ruleName
} from "../model/Access.ts"
import type { Caller } from "../model/Caller.ts"
import { type CallerPattern, formatCallerPattern } from "../model/CallerPattern.ts"
import type { Call, RequestHead } from "../model/Exchange.ts"
import type { PathPattern } from "../model/PathPattern.ts"
import { PathReading } from "../model/PathReading.ts"

export interface NaiveQuestion {
  readonly call: Call
  readonly caller: Caller
  readonly host: string
  readonly port: number
}

export interface NaiveAnswer {
  readonly decision: "allow" | "deny" | "would_deny"
  readonly rule: string
}

/** `settings` in the order of their names. */
export const decideNaively = (
  settings: ReadonlyArray<AccessSetting>,
  question: NaiveQuestion
): NaiveAnswer => {
  const enforced = decide(
    settings.filter(({ mode }) => mode === "enforce"),
    question
  )
  const { service } = question.call
  const audited = settings.some(
    ({ mode, services, default: byDefault }) =>
      mode === "audit" &&
      (byDefault !== undefined || services.some((one) => namesService(one, service)))
  )
  if (!audited || enforced.decision === "deny") return enforced
  const whole = decide(settings, question)
  return whole.decision === "deny" ? { ...whole, decision: "would_deny" } : whole
}

const decide = (settings: ReadonlyArray<AccessSetting>, question: NaiveQuestion): NaiveAnswer => {
  const { head, service } = question.call
  const about = settings.filter(({ services }) =>
    services.some((one) => namesService(one, service))
  )
  if (about.length === 0) {
    const said = settings.flatMap(({ default: one }) => (one === undefined ? [] : [one]))
    const decision = said.includes("deny") ? "deny" : (said[0] ?? builtInDefault)
    return { decision, rule: "default" }
  }
  const denies = about.flatMap(({ deny, name }) =>
    deny.map((rule, index) => ({ rule, name: ruleName(name, "deny", index) }))
  )
  const allows = about.flatMap(({ allow, name }) =>
    allow.map((rule, index) => ({ rule, name: ruleName(name, "allow", index) }))
  )
  const reading = new PathReading()
  if (head !== undefined) reading.read(head.target)
  const mine = [
    ...denies.filter(({ rule }) => rule.from.some((one) => isDenied(one, question))),
    ...allows.filter(({ rule }) => rule.from.some((one) => isCaller(one, question.caller)))
  ]
  const isAboutPaths = mine.some(({ rule }) => (rule.path ?? rule.grpc) !== undefined)
  const isAboutMethods = mine.some(({ rule }) => (rule.methods ?? rule.grpc) !== undefined)
  const has = (...names: ReadonlyArray<string>) =>
    head !== undefined && names.some((name) => valuesOf(head, name).length > 0)
  const isMisleading =
    (isAboutPaths && has("x-original-url", "x-rewrite-url")) ||
    (isAboutMethods && has("x-http-method-override", "x-http-method", "x-method-override"))
  const isAmbiguous =
    isMisleading || (head !== undefined && isAboutPaths && reading.trouble !== undefined)
  const path = isAmbiguous || reading.end === 0 ? undefined : reading.text.slice(0, reading.end)
  const denied = denies.find(
    ({ rule }) =>
      rule.from.some((one) => isDenied(one, question)) && meets(rule, question, path, true)
  )
  if (denied !== undefined) return { decision: "deny", rule: denied.name }
  if (isAmbiguous) return { decision: "deny", rule: "ambiguous" }
  const allowed = allows.find(
    ({ rule }) =>
      rule.from.some((one) => isCaller(one, question.caller)) && meets(rule, question, path, false)
  )
  if (allowed !== undefined) return { decision: "allow", rule: allowed.name }
  return { decision: "deny", rule: "unmatched" }
}

const textOf = ({ kind, mesh, name }: Caller): string =>
  mesh === undefined ? `${kind}/${name}` : `${mesh}//${kind}/${name}`

/** By its text, as a shell would. */
const isCaller = (pattern: CallerPattern, caller: Caller): boolean => {
  const written = formatCallerPattern(pattern)
  const text = textOf(caller)
  if (written === "*") return caller.mesh === undefined
  const whole = written.includes("/") ? written : `service/${written}`
  return whole.endsWith("*") ? text.startsWith(whole.slice(0, -1)) : text === whole
}

const isDenied = (pattern: CallerPattern, { caller, host }: NaiveQuestion): boolean => {
  if (isCaller(pattern, caller)) return true
  const written = formatCallerPattern(pattern)
  if (!written.startsWith("host/")) return false
  return written.endsWith("*")
    ? `host/${host}`.startsWith(written.slice(0, -1))
    : `host/${host}` === written
}

const meets = (
  rule: AccessRule,
  { call: { head }, port }: NaiveQuestion,
  path: string | undefined,
  wide: boolean
): boolean => {
  if (rule.port !== undefined && !(port === 0 ? wide : rule.port.includes(port))) return false
  if (head === undefined) {
    if (wide) return true
    const { grpc, headers, methods } = rule
    if ((rule.path ?? grpc ?? headers) !== undefined) return false
    return methods === undefined || methods.includes("CONNECT")
  }
  if (rule.methods !== undefined && !meetsMethod(rule.methods, head.method, wide)) return false
  if (rule.headers?.every((one) => meetsHeader(one, head, wide)) === false) return false
  if (rule.grpc !== undefined) {
    const types = valuesOf(head, "content-type")
    const isGrpc =
      head.method === "POST" &&
      types.length > 0 &&
      types.every((type) => /^application\/grpc/i.test(type))
    if (!wide && !isGrpc) return false
    const patterns = rule.grpc.map(
      ({ method, service }): PathPattern =>
        method === undefined && wide
          ? { segments: [service], open: true }
          : { segments: [service, method ?? null], open: false }
    )
    return path !== undefined && patterns.some((one) => meetsPath(one, path, wide))
  }
  if (rule.path === undefined) return true
  return path !== undefined && rule.path.some((one) => meetsPath(one, path, wide))
}

const meetsMethod = (methods: ReadonlyArray<string>, method: string, wide: boolean): boolean => {
  if (!wide) return methods.includes(method)
  const capitals = method.toUpperCase()
  return methods.includes(capitals) || (capitals === "HEAD" && methods.includes("GET"))
}

const quoted = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&")

/** One regular expression for each. */
const meetsPath = ({ open, segments }: PathPattern, path: string, wide: boolean): boolean => {
  const names = wide && !open && segments.at(-1) === "" ? segments.slice(0, -1) : segments
  const start = names
    .map((name) => `/${name === null ? "[^/]+" : quoted(wide ? name.toLowerCase() : name)}`)
    .join("")
  const end = open ? (wide ? "(/.*)?" : "/.*") : wide ? "/?" : ""
  return new RegExp(`^${start}${end}$`, "su").test(wide ? path.toLowerCase() : path)
}

const valuesOf = ({ authority, fields, upgrade }: RequestHead, name: string): Array<string> => {
  if (name === "upgrade") return upgrade === undefined ? [] : [upgrade]
  if (name === "host") return [authority]
  return fields.filter(
    (_, index) =>
      index % 2 === 1 &&
      fields[index - 1]!.toLowerCase().replaceAll("_", "-") === name.replaceAll("_", "-")
  )
}

const meetsHeader = (
  { name, open, value }: NonNullable<AccessRule["headers"]>[number],
  head: RequestHead,
  wide: boolean
): boolean => {
  const values = valuesOf(head, name)
  if (!wide) {
    return (
      values.length > 0 && values.every((one) => (open ? one.startsWith(value) : one === value))
    )
  }
  const small = value.toLowerCase()
  return values
    .flatMap((one) => [one, ...one.split(",")])
    .map((one) => one.trim().toLowerCase())
    .some((one) => (open ? one.startsWith(small) : one === small))
}
