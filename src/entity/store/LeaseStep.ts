/** What a host keeps to with its leases, what it asks of the store, and what it tells those who run actors. */
import type { Lease, Shard } from "./ActorStore.ts"

/** All in milliseconds. */
export interface LeaseTimes {
  /** How long the store lets a lease hold. Default 15,000. */
  readonly ttl: number
  /** From one renewal to the next. Default a third of `ttl`. */
  readonly renew: number
  /** For what runs to finish when a lease cannot be renewed. Default 2,000. */
  readonly finish: number
  /** Until the next try after one that failed, and to ask again for a shard that another holds. Default 1,000. */
  readonly retry: number
  /** By how much of itself a host's clock may be slower than the store's. Default 0.01, as 36 seconds an hour. */
  readonly drift: number
}

export const defaultLeaseTimes: LeaseTimes = {
  ttl: 15_000,
  renew: 5_000,
  finish: 2_000,
  retry: 1_000,
  drift: 0.01
}

export type LeaseRequest =
  | { readonly kind: "acquire"; readonly shards: ReadonlyArray<Shard>; readonly asked: number }
  | {
      readonly kind: "release" | "renew"
      readonly leases: ReadonlyArray<Lease>
      readonly asked: number
    }

export type LeaseNews =
  /** Its actors may run. */
  | { readonly kind: "granted"; readonly lease: Lease }
  /** It could not be renewed in time: begin nothing more, and finish. */
  | { readonly kind: "quiet"; readonly lease: Lease }
  /** It was renewed after all. */
  | { readonly kind: "restored"; readonly lease: Lease }
  /** It is over: its actors must have stopped, or are to be stopped now. What they would save is fenced. */
  | { readonly kind: "lost"; readonly lease: Lease }
  /** The shard is to be another's: finish, save, and `letGo`. */
  | { readonly kind: "leaving"; readonly lease: Lease }

export interface LeaseStep {
  readonly requests: ReadonlyArray<LeaseRequest>
  readonly news: ReadonlyArray<LeaseNews>
  /** When to step again if nothing happens before. */
  readonly at: number
}
