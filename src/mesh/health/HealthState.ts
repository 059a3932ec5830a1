/**
 * What the checks of one endpoint add up to. Pure. It takes two failures in a row to lose health,
 * so that one slow answer does not move traffic, and one success to gain it; an endpoint that was
 * never checked is not healthy, and its first check decides. A check that could not be made changes
 * nothing.
 */

export const failuresToUnhealthy = 2

export interface HealthState {
  readonly status: "unknown" | "healthy" | "unhealthy"
  /** Failures since the last success. */
  readonly failures: number
  /** What the last check said, for people. */
  readonly reason: string
}

export interface CheckResult {
  readonly ok: boolean
  readonly reason: string
  /** This process could not ask, for want of descriptors: that says nothing of the endpoint. */
  readonly unasked?: boolean
}

export const unknownHealth: HealthState = {
  status: "unknown",
  failures: 0,
  reason: "not checked yet"
}

export const judge = (state: HealthState, result: CheckResult): HealthState => {
  if (result.unasked === true) return state
  if (result.ok) return { status: "healthy", failures: 0, reason: result.reason }
  const failures = state.failures + 1
  const lost = state.status !== "healthy" || failures >= failuresToUnhealthy
  return { status: lost ? "unhealthy" : "healthy", failures, reason: result.reason }
}
