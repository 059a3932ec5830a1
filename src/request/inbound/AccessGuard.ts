/**
 * Lets calls through to this host's programs, or not, as the access rules say, before anything of a
 * call reaches a program. What is decided is counted by the rule that decided it.
 */
import { type AccessSetting, ruleName } from "../../model/Access.ts"
import { formatCaller } from "../../model/Caller.ts"
import type { Call } from "../../model/Exchange.ts"
import type { Fault } from "../../model/Fault.ts"
import type { ServiceName } from "../../model/Names.ts"
import { PathReading } from "../../model/PathReading.ts"
import { AccessBook } from "../access/AccessBook.ts"
import type { AccessVerdict } from "../access/AccessVerdict.ts"
import { Traffic, type TrafficSeen } from "../access/Traffic.ts"
import type { Counter } from "../cells/Cells.ts"
import type { Family } from "../cells/Family.ts"
import type { MetricRegistry } from "../cells/Metrics.ts"

export interface AccessGuardOptions {
  /** Name of this node. */
  readonly node: string
  readonly metrics: MetricRegistry
  /** The node that a call came from, as its certificate names it. */
  readonly hostOf: (call: Call) => string
}

const labels = ["service", "rule", "decision"] as const
type Labels = Readonly<Record<(typeof labels)[number], string>>

/** What this thread knows of how rules are used. */
export interface AccessUse {
  /** Decisions by rule. */
  readonly rules: ReadonlyMap<string, number>
  /** Of services in audit. */
  readonly traffic: TrafficSeen
}

/** Of a service that is not offered here the name is whatever a caller made up. */
const unknownService = "unknown"

export class AccessGuard {
  readonly #options: AccessGuardOptions
  readonly #book: AccessBook
  readonly #decisions: Family<Counter, "counter", keyof Labels>
  /** Found once for each verdict, and by its labels, to be freed when the rule is gone. */
  #counters = new WeakMap<AccessVerdict, Counter>()
  readonly #counted = new Map<string, Labels>()
  readonly #traffic = new Traffic(new PathReading())

  constructor(options: AccessGuardOptions) {
    this.#options = options
    this.#book = new AccessBook(options.hostOf)
    this.#decisions = options.metrics.counter(
      "skein_access_decisions_total",
      "Calls that access rules let through, refused or would have refused, by the rule that decided.",
      labels
    )
  }

  /** What holds from now on; replaces all. */
  set(settings: ReadonlyArray<AccessSetting>): void {
    this.#book.set(settings)
    this.#counters = new WeakMap()
    const rules = new Set(settings.flatMap(rulesOf))
    for (const [key, counted] of this.#counted) {
      if (rules.has(counted.rule) || withoutRule.has(counted.rule)) continue
      this.#decisions.remove(counted)
      this.#counted.delete(key)
    }
    this.#traffic.keep((service) => this.#book.isAudited(service))
  }

  use(): AccessUse {
    const rules = new Map<string, number>()
    for (const { cell, labels: of } of this.#decisions.cells.values()) {
      const { rule = "" } = of
      rules.set(rule, (rules.get(rule) ?? 0) + cell.value)
    }
    return { rules, traffic: this.#traffic.seen() }
  }

  /**
   * Undefined: there are no rules at all. `port`: where the program listens; 0: nobody knows.
   * `offered`: by this node.
   */
  judge(call: Call, port: number, offered: boolean): AccessVerdict | undefined {
    const verdict = this.#book.decide(call, port)
    if (verdict === undefined) return undefined
    this.#count(call.service, verdict, offered)
    if (offered && this.#book.isAudited(call.service)) this.#traffic.note(call)
    return verdict
  }

  /** Of a call that runs: counted only when it may no longer. */
  judgeAgain(call: Call, port: number): AccessVerdict | undefined {
    const verdict = this.#book.decide(call, port)
    if (verdict?.decision !== "deny") return undefined
    this.#count(call.service, verdict, true)
    return verdict
  }

  /** `sent`: the program may have seen some of it. */
  refusal(call: Call, { why }: AccessVerdict, sent = false): Fault {
    const { head, identity, service } = call
    const host = this.#options.hostOf(call)
    const caller = formatCaller(identity)
    const who = identity.kind === "host" ? caller : `${caller} (on ${host})`
    const what =
      head === undefined
        ? `open a tunnel to ${service}`
        : `${head.method} ${pathOf(head.target)} of ${service}`
    const message = `${who} may not ${what}: ${why}`
    return { code: "denied", message, node: this.#options.node, service, sent }
  }

  #count(service: ServiceName, verdict: AccessVerdict, offered: boolean): void {
    if (!offered) {
      const { decision, rule } = verdict
      this.#cell({ service: unknownService, rule, decision }).inc()
      return
    }
    let counter = this.#counters.get(verdict)
    if (counter === undefined) {
      counter = this.#cell({ service, rule: verdict.rule, decision: verdict.decision })
      this.#counters.set(verdict, counter)
    }
    counter.inc()
  }

  #cell(counted: Labels): Counter {
    this.#counted.set(`${counted.service} ${counted.rule} ${counted.decision}`, counted)
    return this.#decisions.cell(counted)
  }
}

/** What a decision is counted under that no rule made. */
const withoutRule: ReadonlySet<string> = new Set(["default", "unmatched", "ambiguous"])

const rulesOf = ({ allow, deny, name }: AccessSetting): ReadonlyArray<string> => [
  ...allow.map((_, index) => ruleName(name, "allow", index)),
  ...deny.map((_, index) => ruleName(name, "deny", index))
]

/** Without the query, which carries secrets, and no longer than people read. */
const pathOf = (target: string): string => {
  const query = target.indexOf("?")
  const path = query === -1 ? target : target.slice(0, query)
  return path.length > 100 ? `${path.slice(0, 99)}…` : path
}
