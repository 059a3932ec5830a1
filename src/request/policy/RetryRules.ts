/** Which attempts may be repeated: a retry policy, compiled for the request path. */
import type { RetryCondition, RetryPolicy } from "../../model/Policy.ts"
import type { Verdict } from "./Classifier.ts"

export class RetryRules {
  readonly #conditions: ReadonlySet<RetryCondition>
  readonly #methods: ReadonlySet<string>
  readonly #anyMethod: boolean

  constructor(policy: Pick<RetryPolicy, "on" | "methods">) {
    this.#conditions = new Set(policy.on)
    this.#methods = new Set(policy.methods)
    this.#anyMethod = this.#methods.has("*")
  }

  /** May a request with this method be sent again although it may have been seen already? */
  repeatable(method: string): boolean {
    return this.#anyMethod || this.#methods.has(method)
  }

  /**
   * May an attempt that ended so be repeated? A connect failure always may: the endpoint has seen
   * nothing of it.
   */
  allow(verdict: Verdict, repeatable: boolean): boolean {
    const { conditions } = verdict
    if (conditions.length === 0) return false
    if (conditions[0] === "connect_failure") return true
    if (!repeatable) return false
    for (let i = 0; i < conditions.length; i++) {
      if (this.#conditions.has(conditions[i]!)) return true
    }
    return false
  }
}
