/** What stores say alike, whatever they keep things in. */
import type { ActorAddress, Lease, ReminderPlace, Save, Shard, When } from "./ActorStore.ts"
import { Fenced, StateConflict } from "./StoreError.ts"

export const shardText = ({ index, type }: Shard): string => `${type}/#${index}`
export const actorText = ({ id, shard }: ActorAddress): string => `${shard.type}/${id}`

/** `current`: the epoch that the store has, 0 for none. */
export const fencedBy = (lease: Lease, current: number): Fenced =>
  new Fenced({
    code: "fenced",
    message: `the lease of ${shardText(lease.shard)} by ${lease.owner} (epoch ${lease.epoch}) is over; the store is at epoch ${current}`,
    epoch: lease.epoch,
    current
  })

export const conflictOf = ({ actor, version }: Save, actual: number): StateConflict =>
  new StateConflict({
    code: "state_conflict",
    message: `${actorText(actor)} was saved by somebody else: version ${actual} and not ${version}`,
    expected: version,
    actual
  })

/** Milliseconds since 1970; `now` by the store's clock. */
export const dueAt = (when: When, now: number): number =>
  Math.round("at" in when ? when.at : now + when.after)

/** What reminders that are due are ordered by. */
export const placeOf = ({ actor, due, name }: ReminderPlace) =>
  [due, actor.shard.type, actor.id, name] as const

/** Negative: the first comes first. */
export const inOrder = (one: ReminderPlace, other: ReminderPlace): number => {
  const [mine, theirs] = [placeOf(one), placeOf(other)]
  const at = mine.findIndex((it, index) => it !== theirs[index])
  if (at === -1) return 0
  return mine[at]! < theirs[at]! ? -1 : 1
}
