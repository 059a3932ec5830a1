/** Which attempts may be repeated: a retry policy, compiled for the request path. */
import { grpcStatusNames } from "../../model/GrpcStatus.ts"
import type { RetryCondition, RetryPolicy } from "../../model/Policy.ts"
import { type Verdict, verdicts } from "./Classifier.ts"

export class RetryRules {
  readonly #conditions: ReadonlySet<RetryCondition>
  /** Statuses of gRPC. */
  readonly #statuses: ReadonlySet<number>
  readonly #methods: ReadonlySet<string>
  readonly #anyMethod: boolean

  constructor(policy: Pick<RetryPolicy, "on" | "methods">) {
    this.#conditions = new Set(policy.on)
    this.#statuses = new Set(
      grpcStatusNames.flatMap((name, code) =>
        policy.on.some((condition) => condition.toUpperCase() === name) ? [code] : []
      )
    )
    this.#methods = new Set(policy.methods)
    this.#anyMethod = this.#methods.has("*")
  }

  /** May a request with this method be sent again although it may have been seen already? */
  repeatable(method: string): boolean {
    return this.#anyMethod || this.#methods.has(method)
  }

  /**
   * May an attempt that ended so be repeated? A connect failure always may: the endpoint has seen
   * nothing of it. `grpc`: the status that its caller would be told, of a call of gRPC.
   */
  allow(verdict: Verdict, repeatable: boolean, grpc?: number): boolean {
    const { conditions } = verdict
    if (conditions[0] === "connect_failure") return true
    if (!repeatable || verdict === verdicts.refused) return false
    if (grpc !== undefined && this.#statuses.has(grpc)) return true
    for (let i = 0; i < conditions.length; i++) {
      if (this.#conditions.has(conditions[i]!)) return true
    }
    return false
  }
}
