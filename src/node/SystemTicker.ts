/** The real clock and the real dice, until the scope closes. */
import { Effect, type Scope } from "effect"
import { LoopTicker } from "../request/LoopTicker.ts"

export const makeSystemTicker: Effect.Effect<LoopTicker, never, Scope.Scope> =
  Effect.acquireRelease(
    Effect.sync(() => new LoopTicker()),
    (ticker) => Effect.sync(() => ticker.stop())
  )
