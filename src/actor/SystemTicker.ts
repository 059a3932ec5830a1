/**
 * The real clock and the real dice, for the request plane. The wheel is advanced by one coarse
 * interval that sleeps while no timer waits, so an idle node does not wake up.
 */
import { Effect, type Scope } from "effect"
import type { Ticker } from "../model/Time.ts"
import { TimerWheel } from "../model/TimerWheel.ts"

export const makeSystemTicker: Effect.Effect<Ticker, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => {
    const wheel = new TimerWheel(performance.now())
    let interval: NodeJS.Timeout | undefined
    const stop = () => {
      clearInterval(interval)
      interval = undefined
    }
    wheel.onWake = () => {
      interval ??= setInterval(() => {
        wheel.advance(performance.now())
        if (wheel.size === 0) stop()
      }, wheel.resolution)
    }
    const ticker: Ticker = {
      now: () => performance.now(),
      wall: () => Date.now(),
      random: Math.random,
      after: (delay, callback) => wheel.schedule(performance.now(), delay, callback)
    }
    return { ticker, stop }
  }),
  ({ stop }) => Effect.sync(stop)
).pipe(Effect.map(({ ticker }) => ticker))
