/** What is held is judged by what has been heard about trust since it came. */
import { type Clock, Effect, Either } from "effect"
import type { PeerKey } from "../../model/Names.ts"
import { type ActorRef, tellSurely } from "../actor/Actor.ts"
import type { Catalogue } from "./Catalogue.ts"
import type { CatalogueMessage } from "./CatalogueBehaviour.ts"
import { verifyBatch } from "./CatalogueLoading.ts"
import type { RecordDoor } from "./RecordDoor.ts"
import type { CatalogueEntry } from "./RecordEntry.ts"

export interface RejudgingOptions {
  readonly door: Pick<RecordDoor, "recall">
  readonly actor: ActorRef<CatalogueMessage>
  readonly clock: Clock.Clock
  readonly current: () => Catalogue
}

/** What the actor is told about one entry, if it is not as it was. */
const judged = (
  held: CatalogueEntry,
  door: RejudgingOptions["door"],
  now: number
): CatalogueMessage | undefined => {
  const again = door.recall(held.bytes, now)
  if (Either.isLeft(again)) {
    const isOut = again.left.code === "revoked" || again.left.code === "forgotten"
    return isOut ? { _tag: "Rejudged", held, entry: undefined } : undefined
  }
  const entry = again.right
  if (entry.kind !== "node" || held.kind !== "node") return undefined
  return entry.withheld.join() === held.withheld.join()
    ? undefined
    : { _tag: "Rejudged", held, entry }
}

/** Signatures were checked before, so it costs a hash and the reading of each record. */
export const rejudge = (
  first: ReadonlyArray<PeerKey>,
  { actor, clock, current, door }: RejudgingOptions
): Effect.Effect<void> =>
  Effect.gen(function* () {
    const catalogue = current()
    const named = first.flatMap((peer) => catalogue.node(peer) ?? [])
    const others = Array.from(catalogue.all()).filter(
      (entry) => !named.some((one) => one === entry)
    )
    for (const [index, held] of [...named, ...others].entries()) {
      if (index % verifyBatch === verifyBatch - 1) yield* Effect.sleep(0)
      const message = judged(held, door, clock.unsafeCurrentTimeMillis())
      if (message !== undefined) yield* tellSurely(actor, message)
    }
  })
