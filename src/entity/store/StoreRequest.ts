/** Is what is asked of a store something that every store can hold? Looked at before any of them begins. */
import {
  type ActorAddress,
  type KeptKey,
  type ReminderPut,
  type Save,
  storeLimits
} from "./ActorStore.ts"
import { shardText } from "./StoreAnswer.ts"
import { StoreRefused } from "./StoreError.ts"

const refused = (message: string) => new StoreRefused({ code: "store_refused", message })

const nameProblem = (what: string, name: string, limit: number): string | undefined => {
  if (name.length === 0 || name.length > limit) {
    return `${what} has ${name.length} characters; it is to have 1 to ${limit}`
  }
  // A database refuses the one, and would keep another name for the other.
  if (name.includes("\0")) return `${what} has a NUL in it`
  return name.isWellFormed() ? undefined : `${what} has half a surrogate pair in it`
}

const bytesProblem = (what: string, bytes: Uint8Array): string | undefined =>
  bytes.length <= storeLimits.bytes
    ? undefined
    : `${what} has ${bytes.length} bytes; a store takes ${storeLimits.bytes}`

const addressProblem = ({ id, shard }: ActorAddress): string | undefined =>
  nameProblem("an actor's type", shard.type, storeLimits.type) ??
  nameProblem(`the id of an actor of type ${shard.type}`, id, storeLimits.id)

const first = <A>(
  items: ReadonlyArray<A>,
  problem: (item: A) => string | undefined
): string | undefined => {
  for (const item of items) {
    const found = problem(item)
    if (found !== undefined) return found
  }
  return undefined
}

const tooMany = (what: string, count: number): string | undefined =>
  count <= storeLimits.perSave
    ? undefined
    : `${count} ${what} in one save; ${storeLimits.perSave} are the most`

const saveProblem = ({ actor, keys, lease, reminders, state }: Save): string | undefined =>
  addressProblem(actor) ??
  (lease === undefined || shardText(lease.shard) === shardText(actor.shard)
    ? undefined
    : `it is in ${shardText(actor.shard)}, and the lease is of ${shardText(lease.shard)}`) ??
  (state === undefined ? undefined : bytesProblem("the state", state.bytes)) ??
  tooMany("keys", (keys?.put.length ?? 0) + (keys?.drop.length ?? 0)) ??
  first(
    keys?.put ?? [],
    ({ key, result }) =>
      nameProblem("an idempotency key", key, storeLimits.key) ?? bytesProblem("an answer", result)
  ) ??
  tooMany(
    "reminders",
    (reminders?.put.length ?? 0) + (reminders?.cancel.length ?? 0) + (reminders?.done.length ?? 0)
  ) ??
  first(
    reminders?.put ?? [],
    ({ name, payload }) =>
      nameProblem("the name of a reminder", name, storeLimits.name) ??
      bytesProblem("a reminder's payload", payload)
  )

export const refusedLoad = (actor: ActorAddress): StoreRefused | undefined => {
  const problem = addressProblem(actor)
  return problem === undefined ? undefined : refused(problem)
}

export const refusedSave = (save: Save): StoreRefused | undefined => {
  const problem = saveProblem(save)
  return problem === undefined
    ? undefined
    : refused(`${save.actor.shard.type}/${save.actor.id}: ${problem}`)
}

export interface Changes {
  readonly drop: ReadonlyArray<string>
  readonly put: ReadonlyArray<KeptKey>
  /** Reminders that go. `due` absent: whenever they are due. */
  readonly done: ReadonlyArray<{ readonly name: string; readonly due: number | undefined }>
  readonly remind: ReadonlyArray<ReminderPut>
}

const lastOfEach = <A>(items: ReadonlyArray<A>, name: (item: A) => string): ReadonlyArray<A> => [
  ...new Map(items.map((item) => [name(item), item])).values()
]

/** Each key and each reminder at most once, so that the order does not matter: what is put replaces. */
export const changesOf = ({ keys, reminders }: Save): Changes => {
  const put = lastOfEach(keys?.put ?? [], (it) => it.key)
  const remind = lastOfEach(reminders?.put ?? [], (it) => it.name)
  const kept = new Set(put.map((it) => it.key))
  const again = new Set(remind.map((it) => it.name))
  const cancelled = new Set(reminders?.cancel)
  const done = (reminders?.done ?? []).filter((it) => !cancelled.has(it.name))
  return {
    ...{ put, remind },
    drop: [...new Set(keys?.drop)].filter((key) => !kept.has(key)),
    done: [...done, ...Array.from(cancelled, (name) => ({ name, due: undefined }))].filter(
      (it) => !again.has(it.name)
    )
  }
}
