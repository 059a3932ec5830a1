/**
 * Which policies never take effect, or in part, by what is known of the services they are for. What
 * the config itself knows to be in vain is a mistake in it (ConfigRules.ts); what only the mesh can
 * know, or what may be meant, is a warning.
 */
import { isDeepStrictEqual } from "node:util"
import { Either, Schema } from "effect"
import { nearest } from "../model/NearestKey.ts"
import type { Protocol } from "../model/NodeRecord.ts"
import type { Policy } from "../model/Policy.ts"
import { formatPath, type ProblemPath } from "../model/Problem.ts"
import { defaultPolicy, Policy as PolicySchema } from "../schema/PolicySchema.ts"
import { formatHostPort, type HostPort } from "./HostPort.ts"

/** A part of a policy that a tunnel never meets. */
export interface HttpPart {
  /** Within the policy. */
  readonly path: ProblemPath
  readonly mend: string
}

const limits: ReadonlyArray<keyof Policy["timeout"]> = ["request", "perTry", "idle"]

/**
 * What holds for HTTP only and is not as by default: what nobody wrote is nobody's mistake. Of a
 * tunnel nothing is known but whether somebody accepted it, so its retries, breaker and ejection go
 * by that, and its requests, their methods and their statuses are not seen.
 */
export const httpParts = ({ retry, timeout }: Policy): ReadonlyArray<HttpPart> => {
  const parts: Array<HttpPart> = []
  for (const limit of limits) {
    if (timeout[limit] === defaultPolicy.timeout[limit]) continue
    const path = ["timeout", limit]
    parts.push({ path, mend: "leave it out (timeout.tcpIdle limits a tunnel)" })
  }
  if (retry === "off" || defaultPolicy.retry === "off") return parts
  const mend = "leave it out (a connection that nobody accepts is tried again all the same)"
  const connects = isDeepStrictEqual(retry.on, ["connect_failure"])
  if (!connects && !isDeepStrictEqual(retry.on, defaultPolicy.retry.on)) {
    parts.push({ path: ["retry", "on"], mend })
  }
  if (!isDeepStrictEqual(retry.methods, defaultPolicy.retry.methods)) {
    parts.push({ path: ["retry", "methods"], mend })
  }
  return parts
}

const decode = Schema.decodeUnknownEither(PolicySchema)

/** The same of a policy as it is written. What is none is for its Schema to say. */
export const writtenHttpParts = (written: unknown): ReadonlyArray<HttpPart> =>
  Either.match(decode(written), { onLeft: () => [], onRight: httpParts })

/** By what the mesh offers under its name. Undefined: nothing of it is in vain. */
export const inVain = (
  service: string,
  parts: ReadonlyArray<HttpPart>,
  spoken: Protocol | undefined
): string | undefined => {
  if (spoken !== "tcp" || parts.length === 0) return undefined
  const mend = `leave ${parts.length === 1 ? "it" : "them"} out`
  const paths = listed(parts.map(({ path }) => path))
  return `${paths}: for HTTP only, and the mesh offers ${service} as tcp; ${mend}`
}

interface Written {
  readonly policies: Readonly<Record<string, Policy>>
  readonly upstreams: ReadonlyArray<{
    readonly service: string
    readonly listen: HostPort
    readonly protocol: "http" | "grpc" | "tcp" | "auto"
  }>
}

const listed = (paths: ReadonlyArray<ProblemPath>): string => paths.map(formatPath).join(", ")

/** Parts that do not hold for what comes through a local port, though they may elsewhere. */
export const portWarnings = ({ policies, upstreams }: Written): ReadonlyArray<string> =>
  upstreams.flatMap(({ listen, protocol, service }, index) => {
    const policy = policies[service]
    if (protocol !== "tcp" || policy === undefined) return []
    const parts = httpParts(policy).map(({ path }) => path)
    if (parts.length === 0) return []
    return [
      `policies.${service}: ${listed(parts)}: not for what comes through upstreams[${index}] (${formatHostPort(listen)}), which carries TCP; write protocol: http there if ${service} speaks it`
    ]
  })

/** What a name in the config means to the mesh. */
export interface ReachWarning {
  /** Of its kind and place: the same for the same finding, whatever else the mesh offers. */
  readonly key: string
  /** `unknown`: nobody offers it, now. */
  readonly reason: "unknown" | "protocol"
  /** In words; it looks through all names of the mesh, so it is asked for once. */
  readonly describe: () => string
}

type Offered = ReadonlyMap<string, { readonly protocol: Protocol }>

const unknown = (where: string, service: string, offered: Offered): ReachWarning => ({
  key: `${where} ${service} unknown`,
  reason: "unknown",
  describe: () => {
    const meant = nearest(service, [...offered.keys()])
    const hint = meant === undefined ? "see `skein services`" : `did you mean ${meant}?`
    return `${where}: no node of the mesh offers ${service}; ${hint}`
  }
})

const protocol = (where: string, message: string): ReachWarning => ({
  key: `${where} ${message}`,
  reason: "protocol",
  describe: () => `${where}: ${message}`
})

/** What is in vain by what the mesh offers at the moment. */
export const meshWarnings = (
  { policies, upstreams }: Written,
  offered: Offered
): ReadonlyArray<ReachWarning> => {
  const warnings: Array<ReachWarning> = []
  for (const [service, policy] of Object.entries(policies)) {
    const where = `policies.${service}`
    const spoken = offered.get(service)?.protocol
    if (spoken === undefined) warnings.push(unknown(where, service, offered))
    const message = inVain(service, httpParts(policy), spoken)
    if (message !== undefined) warnings.push(protocol(where, message))
  }
  upstreams.forEach(({ protocol: wanted, service }, index) => {
    const where = `upstreams[${index}]`
    const spoken = offered.get(service)?.protocol
    if (spoken === undefined) warnings.push(unknown(where, service, offered))
    if (spoken !== "tcp" || wanted === "tcp" || wanted === "auto") return
    const message = `${wanted} cannot reach ${service}, which the mesh offers as tcp: every call is refused; write protocol: tcp`
    warnings.push(protocol(where, message))
  })
  return warnings
}
