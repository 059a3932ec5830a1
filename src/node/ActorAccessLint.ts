/**
 * Access rules that keep the hosts of a type of actors apart: they ask each other for shards by calls to the type's
 * service, which people who write rules for its callers do not think of. Pure, by the rules themselves.
 */
import { isActorService } from "../entity/ActorService.ts"
import { releaseTag } from "../entity/ActorWords.ts"
import { type AccessSetting, namesService } from "../model/Access.ts"
import { isNamedId } from "../model/AttachedProgram.ts"
import { type Caller, hostCaller, serviceCaller } from "../model/Caller.ts"
import { type Call, noBody, noFields } from "../model/Exchange.ts"
import type { ServiceView } from "../model/MeshView.ts"
import { authorityOf, type NodeName, type PeerKey, type ServiceName } from "../model/Names.ts"
import { matchesService, maySpeakFor, type SessionFacts } from "../model/Session.ts"
import { AccessBook } from "../request/access/AccessBook.ts"
import type { LintFinding } from "./AccessLint.ts"
import type { KnownNode } from "./CallerStanding.ts"

const path = `/${releaseTag}`

/** One for each type whose hosts may not ask each other, whether the rules hold or are in audit. */
export const lintActors = (
  settings: ReadonlyArray<AccessSetting>,
  services: Iterable<ServiceView>,
  nodes: ReadonlyArray<KnownNode>
): ReadonlyArray<LintFinding> => {
  if (settings.length === 0) return []
  const findings: Array<LintFinding> = []
  for (const { endpoints, name } of services) {
    const hosts = new Map<NodeName, PeerKey>()
    for (const { endpoint, node, peer } of endpoints) if (isNamedId(endpoint)) hosts.set(node, peer)
    if (!isActorService(name) || hosts.size === 0) continue
    const out: Array<NodeName> = []
    let why = ""
    for (const [node, peer] of hosts) {
      const said = whyOut({ settings, service: name, node, peer, nodes })
      if (said === undefined) continue
      out.push(node)
      why = said
    }
    if (out.length === 0) continue
    const about = settings.filter((one) => one.services.some((it) => namesService(it, name)))
    const rule = about.length > 0 ? about.map((one) => one.name).join(", ") : "default"
    const from = out.map((node) => `host/${node}`).join(", ")
    findings.push({
      kind: "closed",
      rule,
      message: `hosts of ${name} ask each other for shards by PUT ${path}, and ${out.join(", ")} may not (${why}): actors wait for 10 s when they move, and those that are not leased may run twice. Allow them { from: [ ${from} ], methods: [ PUT ], path: [ ${path}, /.merge ] }, or in place of a host the service that programs.as says there`
    })
  }
  return findings
}

interface AskedHost {
  readonly settings: ReadonlyArray<AccessSetting>
  readonly service: ServiceName
  readonly node: NodeName
  readonly peer: PeerKey
  readonly nodes: ReadonlyArray<KnownNode>
}

/** Undefined: some program of that node may ask, or nobody can say. */
const whyOut = ({ node, nodes, peer, service, settings }: AskedHost): string | undefined => {
  const rights = nodes.find((one) => one.node === node)?.rights
  if (rights === undefined) return undefined
  const book = new AccessBook(() => node)
  book.set(settings)
  const callers: ReadonlyArray<Caller> = [
    hostCaller(node),
    // Its programs may speak for a service (`programs.as`), and which one that is is not told.
    ...namedServices(settings)
      .filter(
        ({ isAsked, name }) => maySpeakFor(rights, name) && (isAsked || isNamedIn(rights, name))
      )
      .map(({ name }) => serviceCaller(name))
  ]
  let why: string | undefined
  for (const identity of callers) {
    const verdict = book.decide(release(service, identity, peer), 0)
    if (verdict === undefined || verdict.decision === "allow") return undefined
    why ??= verdict.why
  }
  return why
}

interface NamedService {
  readonly name: ServiceName
  /** By a rule that is about such questions, and so about hosts. */
  readonly isAsked: boolean
}

/** Services that rules let in. */
const namedServices = (settings: ReadonlyArray<AccessSetting>): ReadonlyArray<NamedService> =>
  settings.flatMap(({ allow }) =>
    allow.flatMap((rule) => {
      const isAsked = rule.path?.some(({ segments }) => segments.join("/") === releaseTag) === true
      return rule.from.flatMap(({ kind, mesh, name, open }) =>
        // Read as a caller's name, which is a service's.
        kind === "service" && mesh === undefined && !open
          ? [{ name: name as ServiceName, isAsked }]
          : []
      )
    })
  )

/** Not as one of all: a node that may speak for any service is not every caller of the type for that. */
const isNamedIn = ({ services, speaks }: SessionFacts, name: ServiceName): boolean =>
  [...services, ...speaks].some((pattern) => pattern !== "*" && matchesService(pattern, name))

const release = (service: ServiceName, identity: Caller, peer: PeerKey): Call => ({
  kind: "http",
  ...{ service, identity, caller: peer, endpoint: undefined, deadline: undefined, attempt: 0 },
  head: {
    ...{ method: "PUT", target: path, authority: authorityOf(service), fields: noFields },
    ...{ framing: noBody, upgrade: undefined, expectsContinue: false }
  }
})
