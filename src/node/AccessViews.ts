/** What this node answers about the access rules it holds. */
import { Effect, Schema } from "effect"
import type {
  AccessAnswer,
  AccessFindings,
  AccessQuestion,
  AccessRuleRow,
  AccessSuggestions,
  NodesAsked
} from "../admin/AccessModel.ts"
import { AdminInvalid } from "../admin/AdminError.ts"
import type { AccessSource } from "../admin/AdminSource.ts"
import type { PeerAccessUse, PeerTraffic } from "../mesh/host/MeshRpc.ts"
import { type AccessSetting, namesService, ruleName } from "../model/Access.ts"
import {
  type Caller,
  callerOfSpiffeId,
  formatCaller,
  hostCaller,
  parseCaller,
  spiffeIdOf
} from "../model/Caller.ts"
import { meetsCaller } from "../model/CallerPattern.ts"
import { type Call, noBody, noFields } from "../model/Exchange.ts"
import type { MeshView } from "../model/MeshView.ts"
import {
  isNodeName,
  type MeshId,
  type NodeName,
  type PeerKey,
  type ServiceName
} from "../model/Names.ts"
import type { Protocol } from "../model/NodeRecord.ts"
import { AccessBook } from "../request/access/AccessBook.ts"
import type { AccessUse } from "../request/inbound/AccessGuard.ts"
import { AccessRule } from "../schema/AccessSchema.ts"
import { lintAccess } from "./AccessLint.ts"
import { canBeRule, suggestRules } from "./AccessSuggestion.ts"
import { accessUseAnswer } from "./AccessUseAnswer.ts"
import { lintActors } from "./ActorAccessLint.ts"
import { type KnownNode, standingOf } from "./CallerStanding.ts"
import type { AccessSurvey, AccessUseQuestion } from "./NodeSurvey.ts"

export interface AccessViewsOptions {
  readonly self: { readonly peer: PeerKey; readonly node: NodeName; readonly mesh: MeshId }
  /** In the order of their names. */
  readonly settings: () => ReadonlyArray<AccessSetting>
  readonly view: () => MeshView
  /** All members, this node among them. */
  readonly nodes: () => ReadonlyArray<KnownNode>
  /** Of each request thread. */
  readonly use: Effect.Effect<ReadonlyArray<AccessUse>>
  /** Asks other nodes. */
  readonly survey: AccessSurvey
}

export const makeAccessViews = (options: AccessViewsOptions): AccessSource => ({
  check: (question) => Effect.suspend(() => check(options, question)),
  lint: Effect.map(
    Effect.suspend(() => gather(options, aboutRules(options), { traffic: false })),
    (gathered) => lint(options, gathered)
  ),
  suggest: (service) =>
    Effect.map(
      Effect.suspend(() =>
        gather(options, inAudit(options, service), {
          traffic: true,
          ...(service === undefined ? {} : { service })
        })
      ),
      (gathered) => suggest(options, gathered)
    )
})

const invalid = (message: string, hint: string) =>
  new AdminInvalid({ code: "invalid", message, hint })

const check = (
  { nodes, self, settings, view }: AccessViewsOptions,
  { from, host, method, path, port = 0, to }: AccessQuestion
): Effect.Effect<AccessAnswer, AdminInvalid> => {
  const caller = readCaller(from, self.mesh)
  if (caller === undefined) {
    return invalid(
      `${JSON.stringify(from)} is no caller`,
      `Write a service (orders) or a host (host/ops-1), or its SPIFFE ID (spiffe://${self.mesh}/service/orders).`
    )
  }
  if (host !== undefined && !isNodeName(host)) {
    return invalid(`${JSON.stringify(host)} is no node's name`, "`skein members` lists them.")
  }
  if (path !== undefined && !path.startsWith("/")) {
    return invalid(`the path ${JSON.stringify(path)} does not begin with /`, "Write /charge.")
  }
  const call = callOf(self.peer, caller, to, method, path)
  const from_ = host ?? (caller.kind === "host" ? caller.name : "")
  const book = new AccessBook(() => from_)
  book.set(settings())
  const offered = new Set<string>(view().services.keys())
  const { notes, refused } = standingOf(caller, host, to, nodes(), offered)
  const verdict = refused === undefined ? book.decide(call, port) : undefined
  return Effect.succeed({
    caller: { name: formatCaller(caller), id: spiffeIdOf(caller, self.mesh) },
    decision: refused === undefined ? (verdict?.decision ?? "allow") : "deny",
    rule: verdict?.rule ?? null,
    why: refused ?? verdict?.why ?? "there are no access rules",
    notes,
    rules: rulesAbout(settings(), caller, from_, to)
  })
}

/** As people write it, or as other systems do. Callers of our own mesh name none. */
const readCaller = (text: string, own: MeshId): Caller | undefined => {
  const caller = parseCaller(text)
  return callerOfSpiffeId(caller === undefined ? text : spiffeIdOf(caller, own), own)
}

const callOf = (
  peer: PeerKey,
  identity: Caller,
  service: ServiceName,
  method: string | undefined,
  path = "/"
): Call => ({
  kind: method === undefined ? "tcp" : "http",
  ...{ service, identity, caller: peer, endpoint: undefined, deadline: undefined, attempt: 0 },
  head:
    method === undefined
      ? undefined
      : {
          ...{ method, target: path, authority: `${service}.mesh`, fields: noFields },
          ...{ framing: noBody, upgrade: undefined, expectsContinue: false }
        }
})

const encodeRule = Schema.encodeSync(AccessRule)

const rulesAbout = (
  settings: ReadonlyArray<AccessSetting>,
  caller: Caller,
  host: string,
  service: ServiceName
): ReadonlyArray<AccessRuleRow> => {
  const asHost = isNodeName(host) ? hostCaller(host) : undefined
  return settings
    .filter(({ services }) => services.some((pattern) => namesService(pattern, service)))
    .flatMap((setting) =>
      (["deny", "allow"] as const).flatMap((list) =>
        setting[list].flatMap((rule, index): ReadonlyArray<AccessRuleRow> => {
          const meets = rule.from.some(
            (one) =>
              meetsCaller(one, caller) ||
              (list === "deny" &&
                asHost !== undefined &&
                one.kind === "host" &&
                meetsCaller(one, asHost))
          )
          if (!meets) return []
          const name = ruleName(setting.name, list, index)
          return [{ rule: name, list, mode: setting.mode, written: encodeRule(rule) }]
        })
      )
    )
}

/** What nodes have counted, by the node. */
interface Gathered {
  readonly uses: ReadonlyMap<PeerKey, PeerAccessUse>
  readonly nodes: NodesAsked
}

type IsAsked = (service: ServiceName) => boolean

/** Services that any rule is about. */
const aboutRules =
  ({ settings }: AccessViewsOptions): IsAsked =>
  (service) =>
    settings().some(({ services }) => services.some((pattern) => namesService(pattern, service)))

/** The service that is asked for, or all of which somebody keeps what is called. */
const inAudit =
  ({ settings }: AccessViewsOptions, only: ServiceName | undefined): IsAsked =>
  (service) =>
    only === undefined
      ? settings().some(
          ({ mode, services }) =>
            mode === "audit" && services.some((pattern) => namesService(pattern, service))
        )
      : service === only

/** Of all nodes that offer such a service: nobody else has counted anything of it. */
const gather = (
  { self, survey, use, view }: AccessViewsOptions,
  isAsked: IsAsked,
  question: AccessUseQuestion
): Effect.Effect<Gathered> =>
  Effect.gen(function* () {
    const names = new Map<PeerKey, string>()
    for (const { endpoints, name } of view().services.values()) {
      if (!isAsked(name)) continue
      for (const { node, peer } of endpoints) names.set(peer, node)
    }
    const others = Array.from(names.keys()).filter((peer) => peer !== self.peer)
    const [own, answers] = yield* Effect.all([use, survey(others, question)], {
      concurrency: "unbounded"
    })
    const uses = new Map<PeerKey, PeerAccessUse>()
    if (names.has(self.peer)) {
      uses.set(self.peer, accessUseAnswer(own, question.traffic, question.service))
    }
    const silent: Array<NodesAsked["silent"][number]> = []
    for (const [peer, answer] of answers) {
      if (answer.kind === "answer") uses.set(peer, answer.answer)
      else silent.push({ node: names.get(peer) ?? peer, reason: answer.reason })
    }
    const answered = Array.from(uses.keys(), (peer) => names.get(peer) ?? peer).sort()
    return { uses, nodes: { answered, silent } }
  })

const lint = (
  { nodes: known, settings, view }: AccessViewsOptions,
  { nodes, uses }: Gathered
): AccessFindings => {
  const services = new Map<string, Protocol>()
  const counted = new Map<string, number>()
  for (const { endpoints, name, protocol } of view().services.values()) {
    services.set(name, protocol)
    const known = new Set(endpoints.map(({ peer }) => peer).filter((peer) => uses.has(peer)))
    if (known.size > 0) counted.set(name, known.size)
  }
  const used = new Map<string, number>()
  for (const { rules } of uses.values()) {
    for (const { calls, rule } of rules) used.set(rule, (used.get(rule) ?? 0) + calls)
  }
  const findings = [
    ...lintAccess(settings(), { services, counted, used }),
    ...lintActors(settings(), view().services.values(), known())
  ]
  return { findings, nodes }
}

const suggest = (
  { settings }: AccessViewsOptions,
  { nodes, uses }: Gathered
): AccessSuggestions => {
  const byService = new Map<ServiceName, Array<PeerTraffic>>()
  let left = 0
  for (const use of uses.values()) {
    left += use.left
    for (const row of use.traffic) {
      if (!canBeRule(row)) left += row.calls
      const rows = byService.get(row.service)
      if (rows === undefined) byService.set(row.service, [row])
      else rows.push(row)
    }
  }
  return {
    nodes,
    left,
    suggestions: Array.from(byService, ([service, rows]) => ({
      service,
      name: nameFor(settings(), service),
      rules: suggestRules(rows)
    })).sort((a, b) => (a.service < b.service ? -1 : 1))
  }
}

/** That of the setting which put this service, and no other, in audit. */
const nameFor = (settings: ReadonlyArray<AccessSetting>, service: ServiceName): string =>
  settings.find(
    ({ mode, services }) => mode === "audit" && services.length === 1 && services[0] === service
  )?.name ?? service
