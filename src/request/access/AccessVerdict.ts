/** What rules say of a call. Made when rules are compiled: a decision points to one of them. */

export type AccessDecision =
  | "allow"
  | "deny"
  /** It is let through, and would not be if what is in audit held. */
  | "would_deny"

export class AccessVerdict {
  readonly decision: AccessDecision
  /** The rule, as `ruleName` has it; without one `default`, `unmatched` or `ambiguous`. */
  readonly rule: string
  /** For people, after "because". */
  readonly why: string
  #would: AccessVerdict | undefined

  constructor(decision: AccessDecision, rule: string, why: string) {
    this.decision = decision
    this.rule = rule
    this.why = why
  }

  /** The same of rules in audit. */
  get would(): AccessVerdict {
    this.#would ??= new AccessVerdict("would_deny", this.rule, this.why)
    return this.#would
  }
}
