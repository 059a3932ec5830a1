/** What steps of either kind may know and use of the service they are compiled for. */
import type { OnDefect } from "../../model/Defect.ts"
import type { ServiceName } from "../../model/Names.ts"
import type { RunCount } from "../policy/RunCount.ts"
import type { EndpointFact } from "./EndpointStep.ts"
import type { PolicyMetrics } from "./PolicyMetrics.ts"

/** What is counted of an endpoint's results in a row, and by whom. */
export type RunKind = "circuit_failures" | "ejection_failures" | "ejection_proof"

export interface StepService {
  readonly service: ServiceName
  readonly metrics: PolicyMetrics
  /** In [0, 1). */
  readonly random: () => number
  readonly onDefect: OnDefect
  /** The service left the mesh: nothing is counted under its name any more. */
  readonly closed: boolean
  /** Where it is counted: one place for all threads of the node. */
  runCount(endpoint: string, kind: RunKind): RunCount
  /** Who may get the next request may be others now. */
  invalidate(): void
  /** The same endpoint's guards in other threads of the node have to know. */
  tell(endpoint: string, fact: EndpointFact): void
}
