/**
 * The real clock and the real dice, for the request plane. The clock is read once per turn of the
 * event loop: a request asks for the time a dozen times, and within a turn nobody could tell the
 * answers apart. The wheel is advanced when its next timer is due and not before: an idle node
 * sleeps.
 */
import { Effect, type Scope } from "effect"
import type { Ticker } from "../../model/Time.ts"
import { TimerWheel } from "../../model/TimerWheel.ts"

export const makeSystemTicker: Effect.Effect<Ticker, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => {
    const wheel = new TimerWheel(performance.now())
    let alarm: NodeJS.Timeout | undefined
    let stopped = false
    const stop = () => {
      stopped = true
      clearTimeout(alarm)
    }
    const wakeAt = (at: number | undefined) => {
      clearTimeout(alarm)
      if (stopped || at === undefined) return
      alarm = setTimeout(wake, Math.max(1, Math.ceil(at - performance.now())))
    }
    const wake = () => {
      wheel.advance(performance.now())
      wakeAt(wheel.next())
    }
    wheel.onWake = wakeAt
    let turn = Number.NaN
    const forget = () => {
      turn = Number.NaN
    }
    const now = (): number => {
      if (Number.isNaN(turn)) {
        turn = performance.now()
        setImmediate(forget)
      }
      return turn
    }
    const ticker: Ticker = {
      now,
      wall: () => Date.now(),
      random: Math.random,
      after: (delay, callback) => wheel.schedule(now(), delay, callback)
    }
    return { ticker, stop }
  }),
  ({ stop }) => Effect.sync(stop)
).pipe(Effect.map(({ ticker }) => ticker))
