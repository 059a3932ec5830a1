/**
 * All rules about one service. Compiled once, and for a caller when it first calls: callers that meet
 * the same rules share what was made of them.
 */
import {
  type AccessRule,
  type AccessSetting,
  builtInDefault,
  namesService,
  ruleName
} from "../../model/Access.ts"
import type { Caller } from "../../model/Caller.ts"
import { type CallerPattern, meetsCaller } from "../../model/CallerPattern.ts"
import type { Call } from "../../model/Exchange.ts"
import { type PathReading, pathTroubles } from "../../model/PathReading.ts"
import { AccessVerdict } from "./AccessVerdict.ts"
import { CallerRules, type Otherwise } from "./CallerRules.ts"
import { CompiledRule } from "./CompiledRule.ts"
import type { Misled } from "./MisleadingFields.ts"

/** The node that a call came from, as its certificate names it. */
export type HostOf = (call: Call) => string

interface Candidate {
  readonly from: ReadonlyArray<CallerPattern>
  readonly rule: CompiledRule
}

/** What holds, or what would if all that is in audit held too. */
class RuleSet {
  readonly #allow: Array<Candidate> = []
  readonly #deny: Array<Candidate> = []
  readonly #otherwise: Otherwise
  readonly #reading: PathReading
  readonly #named: boolean
  /** By the object: a link has one for each that speaks over it. */
  readonly #callers = new WeakMap<Caller, CallerRules>()
  /** By the rules in it. */
  readonly #shared = new Map<string, CallerRules>()

  constructor(service: string, settings: ReadonlyArray<AccessSetting>, reading: PathReading) {
    this.#reading = reading
    const about = settings.filter(({ services }) =>
      services.some((pattern) => namesService(pattern, service))
    )
    this.#named = about.length > 0
    for (const { allow, deny, name } of about) {
      allow.forEach((rule, index) => {
        this.#add("allow", rule, ruleName(name, "allow", index))
      })
      deny.forEach((rule, index) => {
        this.#add("deny", rule, ruleName(name, "deny", index))
      })
    }
    this.#otherwise = {
      unmatched: this.#named ? unmatched(service, about) : byDefault(service, settings),
      ...ambiguities(service)
    }
  }

  decide(call: Call, port: number, hostOf: HostOf): AccessVerdict {
    if (!this.#named) return this.#otherwise.unmatched
    const rules = this.#callers.get(call.identity) ?? this.#rulesOf(call.identity, hostOf(call))
    return rules.decide(call, port)
  }

  #add(list: "allow" | "deny", rule: AccessRule, name: string): void {
    const candidates = list === "allow" ? this.#allow : this.#deny
    const verdict = new AccessVerdict(
      list,
      name,
      list === "allow" ? `rule ${name} allows it` : `rule ${name} denies it`
    )
    const compiled = new CompiledRule(rule, list === "deny", candidates.length, verdict)
    candidates.push({ from: rule.from, rule: compiled })
  }

  #rulesOf(caller: Caller, host: string): CallerRules {
    const allow = this.#allow.filter(({ from }) => from.some((one) => meetsCaller(one, caller)))
    const deny = this.#deny.filter(({ from }) =>
      from.some((one) => deniesCaller(one, caller, host))
    )
    const key = `${ordersOf(allow)};${ordersOf(deny)}`
    let rules = this.#shared.get(key)
    if (rules === undefined) {
      const lists = { allow: allow.map(({ rule }) => rule), deny: deny.map(({ rule }) => rule) }
      rules = new CallerRules(lists, this.#otherwise, this.#reading)
      if (this.#shared.size >= maxShared) this.#shared.clear()
      this.#shared.set(key, rules)
    }
    this.#callers.set(caller, rules)
    return rules
  }
}

/** Selections of rules that are kept for others who meet the same. */
const maxShared = 1_024

const ordersOf = (candidates: ReadonlyArray<Candidate>): string =>
  candidates.map(({ rule }) => rule.order).join()

/** Who denies a host means all that runs on it, as whom ever it speaks. */
const deniesCaller = (pattern: CallerPattern, caller: Caller, host: string): boolean =>
  meetsCaller(pattern, caller) ||
  (pattern.kind === "host" &&
    pattern.mesh === undefined &&
    (pattern.open ? host.startsWith(pattern.name) : host === pattern.name))

const unmatched = (service: string, about: ReadonlyArray<AccessSetting>): AccessVerdict => {
  const why = `no rule allows it, and ${listed(about)} ${about.length === 1 ? "names" : "name"} ${service}`
  return new AccessVerdict("deny", "unmatched", why)
}

const byDefault = (service: string, settings: ReadonlyArray<AccessSetting>): AccessVerdict => {
  const said = settings.filter((setting) => setting.default !== undefined)
  const denying = said.filter((setting) => setting.default === "deny")
  const nobody = `no rule names ${service}`
  if (denying.length > 0) {
    const why = `${nobody}, and the mesh's default is deny (${listed(denying)})`
    return new AccessVerdict("deny", "default", why)
  }
  return new AccessVerdict(builtInDefault, "default", nobody)
}

const listed = (settings: ReadonlyArray<AccessSetting>): string => {
  const names = settings.slice(0, 3).map(({ name }) => name)
  const more = settings.length - names.length
  return more > 0 ? `${names.join(", ")} and ${more} more` : names.join(", ")
}

const ambiguities = (service: string): Pick<Otherwise, "ambiguous" | "misleading"> => {
  const made = new Map<string, AccessVerdict>()
  const verdict = (what: string, about: Misled): AccessVerdict => {
    const known = made.get(what)
    if (known !== undefined) return known
    const why = `${what}, and there are rules about ${about} of ${service}`
    const fresh = new AccessVerdict("deny", "ambiguous", why)
    made.set(what, fresh)
    return fresh
  }
  return {
    ambiguous: (trouble) => verdict(`its path has ${pathTroubles[trouble]}`, "paths"),
    misleading: (name, about) =>
      verdict(
        `it has the field ${name}, which some programs take for its ${about === "paths" ? "path" : "method"}`,
        about
      )
  }
}

export class ServiceAccess {
  readonly #enforced: RuleSet
  /** With what is in audit; undefined: nothing is, of this service. */
  readonly #whole: RuleSet | undefined

  /** `settings`: all there are, in the order of their names. */
  constructor(service: string, settings: ReadonlyArray<AccessSetting>, reading: PathReading) {
    const enforced = settings.filter(({ mode }) => mode === "enforce")
    const audited = settings.some(
      ({ mode, services, default: byDefault }) =>
        mode === "audit" &&
        (byDefault !== undefined || services.some((pattern) => namesService(pattern, service)))
    )
    this.#enforced = new RuleSet(service, enforced, reading)
    this.#whole = audited ? new RuleSet(service, settings, reading) : undefined
  }

  /** Something of it is in audit. */
  get isAudited(): boolean {
    return this.#whole !== undefined
  }

  decide(call: Call, port: number, hostOf: HostOf): AccessVerdict {
    const verdict = this.#enforced.decide(call, port, hostOf)
    if (this.#whole === undefined || verdict.decision === "deny") return verdict
    const whole = this.#whole.decide(call, port, hostOf)
    return whole.decision === "deny" ? whole.would : whole
  }
}
