/** How a program that serves says that it can: an effect of its own, looked at again and again. */
import { Cause, type Duration, Effect, type Scope } from "effect"
import { judge, unknownHealth } from "../mesh/health/HealthState.ts"
import type { ServiceName } from "../model/Names.ts"
import type { ServedHealth } from "./MeshProgram.ts"

/** Of a service that does not say how it is. */
export const served: ServedHealth = { healthy: true, reason: "its program serves it" }

export const notReadyYet: ServedHealth = { healthy: false, reason: "not ready yet" }

export interface ReadinessOptions {
  readonly service: ServiceName
  /** It is well when this succeeds. */
  readonly ready: Effect.Effect<unknown, unknown>
  readonly every: Duration.DurationInput
  readonly timeout: Duration.DurationInput
  readonly tell: (health: ServedHealth) => Effect.Effect<void>
}

const textOf = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  return error instanceof Error ? error.message : String(error)
}

/** Tells changes, until the scope closes. By the rules of any health check (HealthState.ts). */
export const followReadiness = ({
  every,
  ready,
  service,
  tell,
  timeout
}: ReadinessOptions): Effect.Effect<void, never, Scope.Scope> => {
  let state = unknownHealth
  const look = ready.pipe(
    Effect.timeout(timeout),
    Effect.matchCause({
      onFailure: (cause) => ({ ok: false, reason: `it is not ready: ${textOf(cause)}` }),
      onSuccess: () => ({ ok: true, reason: "it is ready" })
    }),
    Effect.flatMap((result) => {
      const before = state.status
      state = judge(state, result)
      if (state.status === before) return Effect.void
      const { reason, status } = state
      const healthy = status === "healthy"
      return Effect.zipRight(
        Effect.logInfo(`${service} is ${healthy ? "healthy" : `unhealthy: ${reason}`}`),
        tell({ healthy, reason })
      )
    })
  )
  return Effect.asVoid(Effect.forkScoped(Effect.forever(Effect.zipLeft(look, Effect.sleep(every)))))
}
