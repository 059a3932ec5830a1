/**
 * What the node knew when it last ran, so that it serves from it before it has met anybody. Records
 * that are ahead of its clock are kept, too: when a clock is behind at the start, it is not the others'
 * word that is wrong. Once other nodes have been asked for the time, the catalogue judges them.
 */
import { Effect, Either } from "effect"
import { describeSpan } from "../trust/CertificateError.ts"
import { Catalogue } from "./Catalogue.ts"
import type { AnyChange } from "./CatalogueChange.ts"
import type { StoredChange } from "./CatalogueLog.ts"
import { CatalogueStore } from "./CatalogueStore.ts"
import type { RecordDoor } from "./RecordDoor.ts"
import { compareEntries } from "./RecordEntry.ts"
import { maxAhead } from "./RecordTime.ts"

/** What leads from one catalogue to another when it is read again, in this order. */
export const storedChanges = (changes: ReadonlyArray<AnyChange>): ReadonlyArray<StoredChange> =>
  changes.flatMap(({ before, after }): ReadonlyArray<StoredChange> => {
    const kept: ReadonlyArray<StoredChange> =
      after === undefined ? [] : [{ _tag: "Kept", bytes: after.bytes }]
    // An older one in its place (of a clock that was set right) would not win against what is there.
    const wins = after !== undefined && (before === undefined || compareEntries(after, before) > 0)
    return before === undefined || wins ? kept : [{ _tag: "Gone", key: before.key }, ...kept]
  })

/** Envelopes verified in one turn of the event loop, about 200 µs each the first time. */
export const verifyBatch = 8

/** Envelopes from disk, through the door. */
export const loadCatalogue = (door: RecordDoor): Effect.Effect<Catalogue, never, CatalogueStore> =>
  Effect.gen(function* () {
    const store = yield* CatalogueStore
    const clock = yield* Effect.clock
    let catalogue = Catalogue.empty
    let refused = 0
    let first: string | undefined
    let ahead = 0
    for (const [index, change] of (yield* store.load).entries()) {
      if (change._tag === "Gone") {
        catalogue = catalogue.without(change.key)
        continue
      }
      if (index % verifyBatch === verifyBatch - 1) yield* Effect.sleep(0)
      const now = clock.unsafeCurrentTimeMillis()
      const admitted = door.recall(change.bytes, now)
      if (Either.isRight(admitted)) {
        ahead = Math.max(ahead, admitted.right.signedAt - now)
        const [next] = catalogue.merge(admitted.right)
        catalogue = next
      } else if (admitted.left.code !== "too_old") {
        refused++
        first ??= admitted.left.message
      }
    }
    if (refused > 0) {
      yield* Effect.logWarning(`${refused} records on disk are not believed; the first: ${first}`)
    }
    if (ahead > maxAhead) {
      yield* Effect.logWarning(
        `what this node knew when it last ran is up to ${describeSpan(ahead)} ahead of this host's clock: the clock is behind, or was ahead then. All of it is kept until other nodes have told the time; check time synchronisation here`
      )
    }
    return catalogue
  })
