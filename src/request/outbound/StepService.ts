/** What steps of either kind may know and use of the service they are compiled for. */
import type { ServiceName } from "../../model/Names.ts"
import type { EndpointFact } from "./EndpointStep.ts"
import type { PolicyMetrics } from "./PolicyMetrics.ts"

/** Told of what throws and is nobody's doing but the program's own, and where that was. */
export type OnDefect = (error: unknown, where: string) => void

export interface StepService {
  readonly service: ServiceName
  readonly metrics: PolicyMetrics
  /** In [0, 1). */
  readonly random: () => number
  readonly onDefect: OnDefect
  /** The service left the mesh: nothing is counted under its name any more. */
  readonly closed: boolean
  /** Who may get the next request may be others now. */
  invalidate(): void
  /** The same endpoint's guards in other threads of the node have to know. */
  tell(endpoint: string, fact: EndpointFact): void
}
