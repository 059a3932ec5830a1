/**
 * How soon a node says something new of itself again. At once, as long as others say little; the more records
 * of others are news, the longer it gathers its own changes. Each record costs each node milliseconds, so a
 * mesh in which everybody changes all the time would have no time for anything else: this way it says
 * the latest, and that less often. Pure.
 */
import type { OwnFacts } from "./OwnRecord.ts"

export const paceTimes = {
  /** What others said so long ago counts a third, ms. */
  fades: 5_000,
  /** Changes are gathered for so long for each record that was news of late, ± a quarter, ms… */
  perRecord: 10,
  /** …and no longer than this, ms. */
  most: 10_000,
  /** A record that was signed so long ago is no news, ms. */
  news: 10_000
} as const

/** Records of others that were news of late. */
export interface Bustle {
  readonly count: number
  /** Monotonic ms when it was so many. */
  readonly at: number
}

export const noBustle: Bustle = { count: 0, at: 0 }

const countAt = ({ at, count }: Bustle, now: number): number =>
  count * Math.exp((at - now) / paceTimes.fades)

/** One more. `age`: ms since it was signed, by its signer's clock. */
export const heardNews = (bustle: Bustle, age: number, now: number): Bustle =>
  age < paceTimes.news ? { count: countAt(bustle, now) + 1, at: now } : bustle

/** Milliseconds at least between two records of our own. `random` in [0, 1): not all at once. */
export const gatherFor = (bustle: Bustle, now: number, random: number): number =>
  Math.min(paceTimes.most, paceTimes.perRecord * countAt(bustle, now) * (0.75 + 0.5 * random))

/** What is no longer to be had is told at once: that a node leaves or drains, that an endpoint is gone or ill. */
export const takesAway = (before: OwnFacts, change: Partial<OwnFacts>): boolean => {
  if (change.state !== undefined && change.state !== before.state) return true
  if (change.services === undefined) return false
  const still = usable(change.services)
  for (const endpoint of usable(before.services)) if (!still.has(endpoint)) return true
  return false
}

const usable = (services: OwnFacts["services"]): ReadonlySet<string> =>
  new Set(
    services.flatMap(({ endpoints, name }) =>
      endpoints.flatMap(({ draining, healthy, id }) =>
        healthy && !draining ? `${name} ${id}` : []
      )
    )
  )
