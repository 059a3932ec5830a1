/**
 * Time as the pure parts see it: handed in, never read. The node's shells pass real clocks, the
 * tests and the simulator pass their own.
 */
import type { Timer } from "./TimerWheel.ts"

/** What the request plane needs of time and chance. */
export interface Ticker {
  /** Monotonic milliseconds, with a fraction. */
  now(): number
  /** Wall clock, milliseconds since 1970: for logs, records and certificates only. */
  wall(): number
  /** Uniform in [0, 1). */
  random(): number
  /** Runs `callback` once, `delay` ms from now, on the timer wheel's resolution. */
  after(delay: number, callback: () => void): Timer
}

/**
 * Milliseconds until the next tick. All that ticks in a process does so at the same multiples of their
 * intervals: it wakes up once for them, and not for each. A timer that fires early must not tick twice.
 */
export const untilTick = (every: number, now: number): number => {
  const left = every - (now % every)
  return left < every / 4 ? left + every : left
}
