/** For tests of who is selected and why: endpoints with their troubles. */
import type { EndpointView } from "../model/MeshView.ts"
import { MetricRegistry } from "../request/cells/Metrics.ts"
import { EndpointState } from "../request/outbound/EndpointState.ts"
import { PolicyMetrics } from "../request/outbound/PolicyMetrics.ts"
import type { StepService } from "../request/outbound/StepService.ts"
import { Breaker } from "../request/policy/Breaker.ts"
import { OwnRunCount } from "../request/policy/RunCount.ts"
import { endpointView, payments } from "./OutboundFixture.ts"

const metrics = new PolicyMetrics(new MetricRegistry())
export const stepService: StepService = {
  service: payments,
  metrics,
  random: () => 0.5,
  onDefect: (error) => {
    throw error
  },
  closed: false,
  runCount: () => new OwnRunCount(),
  tell: () => undefined,
  invalidate: () => undefined
}
/** The time of the tests. */
export const now = 1_000

export interface Trouble extends Partial<EndpointView> {
  readonly down?: boolean
  /** Ejected until. */
  readonly ejected?: number
  /** Has earned an ejection until, and was spared. */
  readonly spared?: number
  /** Circuit open until. */
  readonly open?: number
}

/** Endpoints a, b, c… with their troubles. */
export const endpoints = (...troubles: ReadonlyArray<Trouble>): ReadonlyArray<EndpointState> =>
  troubles.map(({ down = false, ejected, spared, open, ...change }, index) => {
    const view = endpointView("abcdefghjk"[index]!, change)
    const state = new EndpointState(
      view,
      { down, endpoints: new Map() },
      () => {
        throw new Error("a selection sends nothing")
      },
      metrics.endpoint(payments, view.key),
      [],
      stepService
    )
    if (ejected !== undefined || spared !== undefined) {
      state.ejection = { until: ejected ?? 0, spared: spared ?? 0, times: 1 }
    }
    if (open !== undefined) {
      state.breaker = new Breaker({
        consecutiveFailures: 1,
        open: { base: open, max: open },
        probe: 1_000
      })
      state.breaker.failure("normal", 0, 0.5)
    }
    return state
  })
