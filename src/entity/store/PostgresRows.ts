/** What the statements of PostgresTables.ts answer, as a store says it. */
import { Schema } from "effect"
import type { DueReminder, HeldLease, Lease, LoadedActor, OwnerId } from "./ActorStore.ts"

const rows = <A>(item: Schema.Schema<A>) => Schema.decodeUnknown(Schema.Array(item))

const Bytes = Schema.Uint8ArrayFromSelf
const leaseFields = { type: Schema.String, shard: Schema.Int, epoch: Schema.Int }

export const thereRows = rows(Schema.Struct({ there: Schema.Boolean }))
export const versionRows = rows(Schema.Struct({ version: Schema.Int }))

const LoadedRow = Schema.Struct({
  ...{ version: Schema.Int, schema: Schema.NullOr(Schema.Int), state: Schema.NullOr(Bytes) },
  key: Schema.NullOr(Schema.String),
  result: Schema.NullOr(Bytes),
  rest: Schema.NullOr(Schema.Int)
})
export const loadedRows = rows(LoadedRow)

export const savedRows = rows(
  Schema.Struct({ version: Schema.NullOr(Schema.Int), allowed: Schema.Boolean })
)
export const standingRows = rows(
  Schema.Struct({ version: Schema.NullOr(Schema.Int), epoch: Schema.NullOr(Schema.Int) })
)

const LeaseRow = Schema.Struct(leaseFields)
export const leaseRows = rows(LeaseRow)

const HeldRow = Schema.Struct({ ...leaseFields, owner: Schema.String, rest: Schema.Int })
export const heldRows = rows(HeldRow)

const DueRow = Schema.Struct({
  ...{ type: Schema.String, id: Schema.String, name: Schema.String, shard: Schema.Int },
  ...{ due: Schema.Int, payload: Bytes }
})
export const dueRows = rows(DueRow)
export const nextRows = rows(Schema.Struct({ next: Schema.NullOr(Schema.Int) }))
export const sweptRows = rows(Schema.Struct({ swept: Schema.Int }))

/** The driver's buffers are parts of what it has read. */
const copied = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes)

export const loadedOf = (found: ReadonlyArray<typeof LoadedRow.Type>): LoadedActor => {
  const [first] = found
  if (first === undefined) return { version: 0, state: undefined, keys: [] }
  const { schema, state, version } = first
  return {
    version,
    state: state === null || schema === null ? undefined : { bytes: copied(state), schema },
    keys: found.flatMap(({ key, rest, result }) =>
      key === null || result === null || rest === null || rest <= 0
        ? []
        : [{ key, result: copied(result), left: rest }]
    )
  }
}

export const leaseOf =
  (owner: OwnerId) =>
  ({ epoch, shard, type }: typeof LeaseRow.Type): Lease => ({
    ...{ shard: { type, index: shard }, owner, epoch }
  })

export const heldOf = ({ epoch, owner, rest, shard, type }: typeof HeldRow.Type): HeldLease => ({
  ...{ shard: { type, index: shard }, owner, epoch, left: rest }
})

export const dueOf = ({
  due,
  id,
  name,
  payload,
  shard,
  type
}: typeof DueRow.Type): DueReminder => ({
  ...{ actor: { shard: { type, index: shard }, id }, name, due, payload: copied(payload) }
})
