/**
 * Looks after the data directory while the node runs: what is missing is written again from memory,
 * what cannot be is told once, and tried until it can.
 */
import { Clock, Effect, type Scope } from "effect"
import { restFor, type TickTimers } from "../mesh/actor/Ticking.ts"
import { DataDirCare } from "../mesh/keys/DataDirCare.ts"
import type { StorageTrouble } from "../mesh/keys/StorageTrouble.ts"
import type { IdentityCell } from "../mesh/trust/NodeIdentity.ts"

export interface DataDirKeeperOptions {
  readonly dataDir: string
  readonly identity: IdentityCell
  readonly trouble: StorageTrouble
  /** Writes the catalogue again, which is not this folder's to know. */
  readonly saveCatalogue: Effect.Effect<void>
  /** By whose timers it is looked at. Default: the clock of its fiber. */
  readonly ticker?: TickTimers | undefined
}

/** How often it is looked at; no more than five file names are asked for. */
const lookEvery = 5_000

/** Until the scope closes. */
export const keepDataDir = (
  options: DataDirKeeperOptions
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { dataDir, identity, saveCatalogue, ticker, trouble } = options
    const care = new DataDirCare(dataDir)
    // Not what was seen at the start: a lock that could not be written is missing already.
    let inOrder: string | undefined

    const mend = Effect.gen(function* () {
      const missing = yield* care.mend(identity.current, yield* Clock.currentTimeMillis)
      yield* trouble.done("directory")
      if (missing.length > 0) {
        yield* Effect.logWarning(
          `${missing.join(", ")} had gone from the data directory ${dataDir} and was written again from memory; did somebody delete it? To take a node off a mesh use \`skein leave\`, and stop it first`
        )
        yield* saveCatalogue
      }
      inOrder = yield* care.look
    }).pipe(Effect.catchAll(({ message }) => trouble.failed("directory", message)))

    const look = Effect.flatMap(care.look, (seen) =>
      seen === inOrder && !trouble.has("directory") ? Effect.void : mend
    ).pipe(
      Effect.catchAllDefect((defect) =>
        Effect.logError("the look at the data directory broke", defect)
      )
    )
    yield* Effect.forkScoped(Effect.forever(Effect.zipRight(restFor(lookEvery, ticker), look)))
  })
