/**
 * A store in plain maps, without time and effects of its own: what MemoryStore.ts runs by the clock of its
 * fibers, and a simulation by a virtual one. Nothing in it is bounded but by what is put in.
 */
import { Either } from "effect"
import type {
  ActorAddress,
  DueReminder,
  DueReminders,
  HeldLease,
  Lease,
  LoadedActor,
  OwnerId,
  ReminderPlace,
  Save,
  Shard,
  StoredState
} from "./ActorStore.ts"
import { conflictOf, dueAt, fencedBy, inOrder, shardText } from "./StoreAnswer.ts"
import type { SaveError } from "./StoreError.ts"
import { changesOf, refusedSave } from "./StoreRequest.ts"

interface LeaseRow {
  readonly shard: Shard
  /** Undefined: released. */
  owner: OwnerId | undefined
  epoch: number
  ends: number
}

interface KeyRow {
  readonly result: Uint8Array
  readonly ends: number
}

interface ActorRow {
  version: number
  state: StoredState | undefined
  readonly keys: Map<string, KeyRow>
  readonly reminders: Map<string, DueReminder>
}

/** All times in milliseconds since 1970, by the store's clock. */
export class MemoryTables {
  /** By type and id with a NUL between, which neither has. */
  readonly #actors = new Map<string, ActorRow>()
  readonly #leases = new Map<string, LeaseRow>()

  load(actor: ActorAddress, now: number): LoadedActor {
    const row = this.#actors.get(nameOf(actor))
    if (row === undefined) return { version: 0, state: undefined, keys: [] }
    const keys = Array.from(row.keys, ([key, { ends, result }]) => ({
      key,
      result: result.slice(),
      left: ends - now
    }))
    return {
      ...{ version: row.version, state: copied(row.state) },
      keys: keys.filter((it) => it.left > 0).sort((a, b) => a.left - b.left)
    }
  }

  save(save: Save, now: number): Either.Either<number, SaveError> {
    const { actor, lease, state } = save
    const { done, drop, put, remind } = changesOf(save)
    const refused = refusedSave(save)
    if (refused !== undefined) return Either.left(refused)
    if (lease !== undefined && !this.#isLatest(lease)) {
      return Either.left(fencedBy(lease, this.#leases.get(shardText(lease.shard))?.epoch ?? 0))
    }
    const name = nameOf(actor)
    const row = this.#actors.get(name) ?? {
      ...{ version: 0, state: undefined },
      ...{ keys: new Map<string, KeyRow>(), reminders: new Map<string, DueReminder>() }
    }
    if (row.version !== save.version) return Either.left(conflictOf(save, row.version))
    this.#actors.set(name, row)
    row.version++
    if (state !== undefined) row.state = copied(state)
    for (const key of drop) row.keys.delete(key)
    for (const { key, left, result } of put) {
      row.keys.set(key, { result: result.slice(), ends: now + left })
    }
    for (const { due, name } of done) {
      if (due === undefined || row.reminders.get(name)?.due === due) row.reminders.delete(name)
    }
    for (const { name, payload, when } of remind) {
      row.reminders.set(name, { actor, name, due: dueAt(when, now), payload: payload.slice() })
    }
    return Either.right(row.version)
  }

  acquire(owner: OwnerId, shards: ReadonlyArray<Shard>, ttl: number, now: number): Array<Lease> {
    const got: Array<Lease> = []
    for (const shard of shards) {
      const name = shardText(shard)
      const row = this.#leases.get(name) ?? { shard, owner: undefined, epoch: 0, ends: 0 }
      const held = row.owner !== undefined && row.ends > now
      if (held && row.owner !== owner) continue
      if (!held) row.epoch++
      row.owner = owner
      row.ends = now + ttl
      this.#leases.set(name, row)
      got.push({ shard, owner, epoch: row.epoch })
    }
    return got
  }

  renew(leases: ReadonlyArray<Lease>, ttl: number, now: number): Array<Lease> {
    return leases.filter((lease) => {
      const row = this.#leases.get(shardText(lease.shard))
      if (row === undefined || !this.#isLatest(lease) || row.ends <= now) return false
      row.ends = now + ttl
      return true
    })
  }

  release(leases: ReadonlyArray<Lease>): void {
    for (const lease of leases) {
      const row = this.#leases.get(shardText(lease.shard))
      if (row !== undefined && this.#isLatest(lease)) row.owner = undefined
    }
  }

  leases(type: string, now: number): Array<HeldLease> {
    return Array.from(this.#leases.values()).flatMap(({ ends, epoch, owner, shard }) =>
      shard.type === type && owner !== undefined && ends > now
        ? [{ shard, owner, epoch, left: ends - now }]
        : []
    )
  }

  reminders(
    shards: ReadonlyArray<Shard>,
    limit: number,
    after: ReminderPlace | undefined,
    now: number
  ): DueReminders {
    const asked = new Set(shards.map(shardText))
    const all = Array.from(this.#actors.values())
      .flatMap(({ reminders }) => Array.from(reminders.values()))
      .filter((it) => asked.has(shardText(it.actor.shard)))
      .filter((it) => after === undefined || inOrder(it, after) > 0)
      .sort(inOrder)
    const due = all.filter((it) => it.due <= now).slice(0, limit)
    const next = all[due.length]
    const isFull = due.length === limit
    return {
      due: due.map((it) => ({ ...it, payload: it.payload.slice() })),
      next: isFull ? 0 : next === undefined ? undefined : next.due - now
    }
  }

  sweep(limit: number, now: number): number {
    let swept = 0
    for (const { keys } of this.#actors.values()) {
      for (const [key, { ends }] of keys) {
        if (swept === limit) return swept
        if (ends > now) continue
        keys.delete(key)
        swept++
      }
    }
    return swept
  }

  /** Whether its time is over does not matter to it: nobody else has the shard. */
  #isLatest({ epoch, owner, shard }: Lease): boolean {
    const row = this.#leases.get(shardText(shard))
    return row !== undefined && row.owner === owner && row.epoch === epoch
  }
}

const nameOf = ({ id, shard }: ActorAddress): string => `${shard.type}\0${id}`

/** Whoever gave it or gets it may write into it. */
const copied = (state: StoredState | undefined): StoredState | undefined =>
  state === undefined ? undefined : { ...state, bytes: state.bytes.slice() }
