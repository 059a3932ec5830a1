/**
 * What is wrong with access rules that are each in order: what others make meaningless, what nobody can
 * meet, and what nobody has met. Rules are compared one by one: that two together cover a third is not
 * seen, and so not said.
 */
import {
  type AccessRule,
  type AccessSetting,
  type HeaderPattern,
  isAboutHttp,
  namesService,
  ruleName
} from "../model/Access.ts"
import { coversCallers } from "../model/CallerPattern.ts"
import type { Protocol } from "../model/NodeRecord.ts"
import { coversPaths } from "../model/PathPattern.ts"

/** `shadowed`: another says it already. `unreachable`: no call can come to it. `unused`: none has. */
export const lintKinds = ["shadowed", "unreachable", "unused", "closed", "unknown"] as const
export type LintKind = (typeof lintKinds)[number]

export interface LintFinding {
  readonly kind: LintKind
  /** The rule, or the setting. */
  readonly rule: string
  readonly message: string
}

export interface LintFacts {
  /** Services of the mesh, with what they speak. */
  readonly services: ReadonlyMap<string, Protocol>
  /** At how many nodes that offer a service it is known how its rules were met; of others nothing is. */
  readonly counted: ReadonlyMap<string, number>
  /** Decisions by rule at all of them, since rules or the nodes were changed last. */
  readonly used: ReadonlyMap<string, number>
}

interface Placed {
  readonly setting: AccessSetting
  readonly list: "allow" | "deny"
  readonly name: string
  readonly rule: AccessRule
}

export const lintAccess = (
  settings: ReadonlyArray<AccessSetting>,
  facts: LintFacts
): ReadonlyArray<LintFinding> => {
  const rules = settings.flatMap((setting) =>
    (["deny", "allow"] as const).flatMap((list) =>
      setting[list].map(
        (rule, index): Placed => ({
          setting,
          list,
          rule,
          name: ruleName(setting.name, list, index)
        })
      )
    )
  )
  return [
    ...rules.flatMap((rule) => lintRule(rule, rules, facts)),
    ...settings.flatMap((setting) => lintSetting(setting, settings, facts))
  ]
}

const lintRule = (
  placed: Placed,
  rules: ReadonlyArray<Placed>,
  facts: LintFacts
): ReadonlyArray<LintFinding> => {
  const { list, name: rule } = placed
  const covering = rules.filter((other) => other !== placed && covers(other, placed))
  const deny = list === "allow" ? covering.find((other) => other.list === "deny") : undefined
  if (deny !== undefined) {
    const message = `${deny.name} denies all that it allows, and a deny rule wins: take one of them out`
    return [{ kind: "unreachable", rule, message }]
  }
  const own = covering.filter((other) => other.list === list)
  // Of two that say the same, the second is the one too many.
  const same = own.find((other) => !covers(placed, other) || isBefore(other, placed, rules))
  if (same !== undefined) {
    const what = list === "allow" ? "allows" : "denies"
    const message = `${same.name} ${what} all that it does: take it out`
    return [{ kind: "shadowed", rule, message }]
  }
  const unmet = unmetBy(placed, facts)
  if (unmet !== undefined) return [{ kind: "unreachable", rule, message: unmet }]
  const counted = [...facts.counted].filter(([one]) => isAbout(placed.setting, one))
  if (counted.length === 0 || (facts.used.get(rule) ?? 0) > 0) return []
  const calls = counted.map(([one, nodes]) => `${one} (${nodes} ${nodes === 1 ? "node" : "nodes"})`)
  const message = `no call to ${calls.join(", ")} has met it since it is held: is it needed?`
  return [{ kind: "unused", rule, message }]
}

/** An allow rule about HTTP does nothing for a service that is never called so. */
const unmetBy = ({ list, rule, setting }: Placed, { services }: LintFacts): string | undefined => {
  const about = [...services].filter(([service]) => isAbout(setting, service))
  const isTcp = about.length > 0 && about.every(([, protocol]) => protocol === "tcp")
  if (!isTcp || !isAboutHttp(rule)) return undefined
  const names = about.map(([service]) => service).join(", ")
  if (list === "allow") {
    return rule.methods?.includes("CONNECT") === true && rule.path === undefined
      ? undefined
      : `${names} speaks TCP, where nobody sees methods, paths or headers: leave them out`
  }
  return `${names} speaks TCP, where nobody sees methods, paths or headers: it denies its callers everything`
}

const lintSetting = (
  setting: AccessSetting,
  settings: ReadonlyArray<AccessSetting>,
  { services }: LintFacts
): ReadonlyArray<LintFinding> => {
  const { mode, name: rule, services: patterns } = setting
  const findings: Array<LintFinding> = []
  for (const pattern of patterns) {
    const about = [...services.keys()].filter((service) => namesService(pattern, service))
    if (about.length === 0) {
      const message = `no node offers ${pattern === "*" ? "any service" : pattern}: is it spelt right?`
      findings.push({ kind: "unknown", rule, message })
      continue
    }
    const closed = about.filter(
      (service) =>
        setting.allow.length === 0 &&
        !settings.some(
          (other) =>
            (other.mode === "enforce" || mode === "audit") &&
            other.allow.length > 0 &&
            isAbout(other, service)
        )
    )
    // `allow: []` alone is how people say it.
    if (closed.length > 0 && setting.deny.length > 0) {
      const message = `nobody may call ${closed.join(", ")}: a rule names it, and none allows anything`
      findings.push({ kind: "closed", rule, message })
    }
  }
  return findings
}

const isAbout = ({ services }: AccessSetting, service: string): boolean =>
  services.some((pattern) => namesService(pattern, service))

const isBefore = (a: Placed, b: Placed, rules: ReadonlyArray<Placed>): boolean =>
  rules.indexOf(a) < rules.indexOf(b)

/** Whatever call `inner` meets, `outer` meets too, and holds at least where it does. */
const covers = (outer: Placed, inner: Placed): boolean => {
  if (outer.setting.mode === "audit" && inner.setting.mode === "enforce") return false
  return (
    inner.setting.services.every((one) =>
      outer.setting.services.some((other) => coversNames(other, one))
    ) && coversRule(outer.rule, inner.rule)
  )
}

const coversNames = (outer: string, inner: string): boolean =>
  outer.endsWith("*") ? inner.startsWith(outer.slice(0, -1)) : outer === inner

const coversRule = (outer: AccessRule, inner: AccessRule): boolean =>
  inner.from.every((one) => outer.from.some((other) => coversCallers(other, one))) &&
  coversList(outer.methods, inner.methods, (a, b) => a === b) &&
  coversList(outer.port, inner.port, (a, b) => a === b) &&
  coversList(outer.path, inner.path, coversPaths) &&
  coversList(
    outer.grpc,
    inner.grpc,
    (a, b) => a.service === b.service && (a.method === undefined || a.method === b.method)
  ) &&
  (outer.headers ?? []).every((one) =>
    (inner.headers ?? []).some((other) => coversHeader(one, other))
  )

/** Of lists of which one entry has to be met; without one, anything is. */
const coversList = <A>(
  outer: ReadonlyArray<A> | undefined,
  inner: ReadonlyArray<A> | undefined,
  covers: (outer: A, inner: A) => boolean
): boolean =>
  outer === undefined || inner?.every((one) => outer.some((other) => covers(other, one))) === true

const coversHeader = (outer: HeaderPattern, inner: HeaderPattern): boolean => {
  if (outer.name !== inner.name) return false
  return outer.open
    ? inner.value.startsWith(outer.value)
    : !inner.open && outer.value === inner.value
}
