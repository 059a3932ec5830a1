/** How a program offers what it serves, whichever way calls come to its handlers. */
import { type Duration, Effect, type Scope } from "effect"
import type { Dispatch } from "../model/Exchange.ts"
import type { ServiceName } from "../model/Names.ts"
import type { MeshProgram } from "./MeshProgram.ts"
import { followReadiness, notReadyYet, served } from "./Readiness.ts"

export interface ServeOptions<R = never> {
  /**
   * Whether it can serve: its endpoint is healthy once this has succeeded, and not any more when it has
   * failed twice in a row. Default: it is healthy as long as it is served.
   */
  readonly ready?: Effect.Effect<unknown, unknown, R> | undefined
  /** How often that is looked at. Default 2 s. */
  readonly readyEvery?: Duration.DurationInput | undefined
  /** What takes longer has failed. Default 1 s. */
  readonly readyTimeout?: Duration.DurationInput | undefined
  /** Relative share of traffic, 1–1000. Default 100. */
  readonly weight?: number | undefined
}

/** Until the scope closes. Done when the mesh has been told. */
export const offerService = (
  program: MeshProgram["Type"],
  service: ServiceName,
  options: ServeOptions,
  dispatch: Dispatch
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { ready, readyEvery = "2 seconds", readyTimeout = "1 second", weight = 100 } = options
    const health = ready === undefined ? served : notReadyYet
    const { setHealth } = yield* program.offer({ service, weight, dispatch, health })
    if (ready === undefined) return
    yield* followReadiness({
      ...{ service, ready, every: readyEvery, timeout: readyTimeout },
      tell: setHealth
    })
  })

/** With what the readiness needs, from the context at hand. */
export const provideReadiness = <R>(
  options: ServeOptions<R>
): Effect.Effect<ServeOptions, never, R> =>
  Effect.map(Effect.context<R>(), (context) => {
    const { ready, ...rest } = options
    return ready === undefined ? rest : { ...rest, ready: Effect.provide(ready, context) }
  })
