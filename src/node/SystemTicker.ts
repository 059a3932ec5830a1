/** The real clock and the real dice, until the scope closes. */
import { Effect, type Scope } from "effect"
import type { Ticker } from "../model/Time.ts"
import { LoopTicker } from "../request/LoopTicker.ts"

export const makeSystemTicker: Effect.Effect<Ticker, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => new LoopTicker()),
  (ticker) => Effect.sync(() => ticker.stop())
)
