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
  /**
   * Runs `callback` once, `delay` ms from now, on the timer wheel's resolution. With `patience` as much as so many ms
   * later, as soon as something else wakes the thread: for what is only looked after. Who does not know of that fires
   * when it is due.
   */
  after(delay: number, callback: () => void, patience?: number): Timer
  /**
   * As `after`, for a time by the clock of `now`, which may be that of a turn that has gone on for long since. Absent:
   * `atTime` counts from `now`.
   */
  readonly at?: ((time: number, callback: () => void, patience?: number) => Timer) | undefined
  /** Tells how late each alarm of the thread rang, ms; answers how to stop. Absent: that is not known. */
  readonly onAlarm?: ((listener: (late: number) => void) => () => void) | undefined
}

/** Runs `callback` once, at that time by the clock of the ticker. */
export const atTime = (
  ticker: Pick<Ticker, "after" | "at" | "now">,
  time: number,
  callback: () => void,
  patience?: number
): Timer =>
  ticker.at?.(time, callback, patience) ?? ticker.after(time - ticker.now(), callback, patience)

/**
 * Milliseconds until the next tick. All that ticks in a process does so at the same multiples of their
 * intervals: it wakes up once for them, and not for each. A timer that fires early must not tick twice.
 */
export const untilTick = (every: number, now: number): number => {
  const left = every - (now % every)
  return left < every / 4 ? left + every : left
}
