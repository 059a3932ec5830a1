/** What this node answers about the access rules it holds. */
import { Effect, Schema } from "effect"
import type {
  AccessAnswer,
  AccessFinding,
  AccessQuestion,
  AccessRuleRow,
  AccessSuggestions
} from "../admin/AccessModel.ts"
import { AdminInvalid } from "../admin/AdminError.ts"
import type { AccessSource } from "../admin/AdminSource.ts"
import { type AccessSetting, namesService, ruleName } from "../model/Access.ts"
import { type Caller, hostCaller, parseCaller } from "../model/Caller.ts"
import { meetsCaller } from "../model/CallerPattern.ts"
import { type Call, noBody, noFields } from "../model/Exchange.ts"
import type { MeshView } from "../model/MeshView.ts"
import { isNodeName, type NodeName, type PeerKey, type ServiceName } from "../model/Names.ts"
import type { Protocol } from "../model/NodeRecord.ts"
import { AccessBook } from "../request/access/AccessBook.ts"
import type { TrafficRow } from "../request/access/Traffic.ts"
import type { AccessUse } from "../request/inbound/AccessGuard.ts"
import { AccessRule } from "../schema/AccessSchema.ts"
import { lintAccess } from "./AccessLint.ts"
import { suggestRules } from "./AccessSuggestion.ts"

export interface AccessViewsOptions {
  readonly self: { readonly peer: PeerKey; readonly node: NodeName }
  /** In the order of their names. */
  readonly settings: () => ReadonlyArray<AccessSetting>
  readonly view: () => MeshView
  /** Of each request thread. */
  readonly use: Effect.Effect<ReadonlyArray<AccessUse>>
}

export const makeAccessViews = (options: AccessViewsOptions): AccessSource => ({
  check: (question) => Effect.suspend(() => check(options, question)),
  lint: Effect.map(options.use, (use) => lint(options, use)),
  suggest: (service) => Effect.map(options.use, (use) => suggest(options, use, service))
})

const invalid = (message: string, hint: string) =>
  new AdminInvalid({ code: "invalid", message, hint })

const check = (
  { self, settings }: AccessViewsOptions,
  { from, host, method, path, port = 0, to }: AccessQuestion
): Effect.Effect<AccessAnswer, AdminInvalid> => {
  const caller = parseCaller(from)
  if (caller === undefined) {
    return invalid(
      `${JSON.stringify(from)} is no caller`,
      "Write a service (orders) or a host (host/ops-1)."
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
  const verdict = book.decide(call, port)
  return Effect.succeed({
    decision: verdict?.decision ?? "allow",
    rule: verdict?.rule ?? null,
    why: verdict?.why ?? "there are no access rules",
    rules: rulesAbout(settings(), caller, from_, to)
  })
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

const lint = (
  { settings, view }: AccessViewsOptions,
  use: ReadonlyArray<AccessUse>
): ReadonlyArray<AccessFinding> => {
  const services = new Map<string, Protocol>()
  const here = new Set<string>()
  for (const { endpoints, name, protocol } of view().services.values()) {
    services.set(name, protocol)
    if (endpoints.some(({ local }) => local)) here.add(name)
  }
  const used = new Map<string, number>()
  for (const { rules } of use) {
    for (const [rule, count] of rules) used.set(rule, (used.get(rule) ?? 0) + count)
  }
  return lintAccess(settings(), { services, here, used })
}

const suggest = (
  { self, settings }: AccessViewsOptions,
  use: ReadonlyArray<AccessUse>,
  only: ServiceName | undefined
): AccessSuggestions => {
  const byService = new Map<ServiceName, Array<TrafficRow>>()
  for (const { traffic } of use) {
    for (const row of traffic.rows) {
      if (only !== undefined && row.service !== only) continue
      const rows = byService.get(row.service)
      if (rows === undefined) byService.set(row.service, [row])
      else rows.push(row)
    }
  }
  return {
    node: self.node,
    left: use.reduce((sum, { traffic }) => sum + traffic.left, 0),
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
