/**
 * What the node knew when it last ran, so that it serves from it before it has met anybody. Records
 * that are ahead of its clock are kept, too: when a clock is behind at the start, it is not the others'
 * word that is wrong. Once other nodes have been asked for the time, the catalogue judges them.
 */
import { Effect, Either } from "effect"
import { describeSpan } from "../trust/CertificateError.ts"
import { Catalogue } from "./Catalogue.ts"
import { CatalogueStore } from "./CatalogueStore.ts"
import { maxAhead, type RecordDoor } from "./RecordDoor.ts"

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
    for (const [index, envelope] of (yield* store.load).entries()) {
      if (index % verifyBatch === verifyBatch - 1) yield* Effect.sleep(0)
      const now = clock.unsafeCurrentTimeMillis()
      const admitted = door.recall(envelope, now)
      if (Either.isRight(admitted)) {
        ahead = Math.max(ahead, admitted.right.record.signedAt - now)
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
