/** A policy that cannot be used: what TypeScript is told where a config file gets line and column. */
import { Data } from "effect"
import { formatPath, type Problem } from "../model/Problem.ts"

/** The message has one line for each problem, like `policy.retires: unknown key retires; …`. */
export class PolicyError extends Data.TaggedError("PolicyError")<{
  /** Stable. */
  readonly code: "policy_invalid"
  /** Never empty. Paths begin within the policy: `["retry", "on"]`. */
  readonly problems: ReadonlyArray<Problem>
}> {
  override get message(): string {
    return this.problems
      .map(({ path, message }) => `${formatPath(["policy", ...path])}: ${message}`)
      .join("\n")
  }
}
