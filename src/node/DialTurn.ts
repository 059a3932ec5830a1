/**
 * When a connection may be made because somebody looks. A handshake is the dearest thing that a node can
 * ask of another, so questions to many share a rate of them.
 */
import { Clock, Effect } from "effect"
import { Rate } from "../model/Rate.ts"

export const dialLimits = {
  /** Connections a second… */
  perSecond: 16,
  /** …and as many at once. */
  burst: 32
} as const

/** Monotonic ms. */
export const monotonic = Effect.map(Clock.currentTimeNanos, (nanos) => Number(nanos) / 1e6)

/** Done when it is one's turn. One waits for the rate, and the others for that one. */
export const makeDialTurn = (): Effect.Effect<void> => {
  const dials = new Rate(dialLimits.perSecond, dialLimits.burst)
  const turn: Effect.Effect<void> = Effect.flatMap(monotonic, (now) => {
    const wait = dials.take(now)
    return wait === 0 ? Effect.void : Effect.zipRight(Effect.sleep(wait), turn)
  })
  return Effect.unsafeMakeSemaphore(1).withPermits(1)(turn)
}
