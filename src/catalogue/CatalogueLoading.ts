/** What the node knew when it last ran, so that it serves from it before it has met anybody. */
import { Effect, Either } from "effect"
import { Catalogue } from "./Catalogue.ts"
import { CatalogueStore } from "./CatalogueStore.ts"
import type { RecordDoor } from "./RecordDoor.ts"

/** Envelopes verified in one turn of the event loop, about 200 µs each the first time. */
export const verifyBatch = 8

/** Envelopes from disk, through the door like any others. */
export const loadCatalogue = (door: RecordDoor): Effect.Effect<Catalogue, never, CatalogueStore> =>
  Effect.gen(function* () {
    const store = yield* CatalogueStore
    const clock = yield* Effect.clock
    let catalogue = Catalogue.empty
    let refused = 0
    let first: string | undefined
    for (const [index, envelope] of (yield* store.load).entries()) {
      if (index % verifyBatch === verifyBatch - 1) yield* Effect.sleep(0)
      const admitted = door.admit(envelope, clock.unsafeCurrentTimeMillis())
      if (Either.isRight(admitted)) {
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
    return catalogue
  })
