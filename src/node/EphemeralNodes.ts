/**
 * Nodes that say of themselves that they may end at any time (`node.ephemeral`) are forgotten by every
 * node on its own once they are dead. For a while only: those who think so later still pass the record on,
 * and by then they think so too; and after a partition it may be that it lives.
 */
import { Effect, type Scope } from "effect"
import type { CatalogueShape } from "../mesh/catalogue/CatalogueService.ts"
import type { MembershipShape } from "../mesh/membership/MembershipService.ts"
import type { PeerKey } from "../model/Names.ts"
import type { Ticker } from "../model/Time.ts"
import type { ForgottenFile } from "./ForgottenFile.ts"
import type { ForgottenNodes } from "./ForgottenNodes.ts"
import type { GoneElsewhere } from "./GoneElsewhere.ts"

/** Milliseconds. */
export const ephemeralTimes = {
  /** It may have been stalled, or cut off. */
  deadFor: 30_000,
  /** Within this all others have found it dead, too. */
  forgottenFor: 300_000,
  look: 5_000
} as const

export interface EphemeralOptions {
  readonly forgotten: ForgottenNodes
  /** Keeps who was forgotten over a restart. */
  readonly file: Pick<ForgottenFile, "save">
  /** What others have told of it. */
  readonly elsewhere: Pick<GoneElsewhere, "isGone">
  /** Connected with this node. */
  readonly isUp: (peer: PeerKey) => boolean
  readonly catalogue: Pick<CatalogueShape, "current" | "rejudge">
  readonly membership: Pick<MembershipShape, "members">
  readonly ticker: Pick<Ticker, "now" | "wall">
}

/** Looks at those that are dead, once. */
export const forgetEphemeral = (options: EphemeralOptions): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { catalogue, elsewhere, file, forgotten, isUp, membership, ticker } = options
    const members = membership.members()
    const alive = members.filter(({ state }) => state === "alive").length - 1
    const gone = members.flatMap(({ peer, since, state }) => {
      const record = catalogue.current().node(peer)?.record
      if (record?.ephemeral !== true || state === "left") return []
      const isDead = state === "dead" && ticker.wall() - since >= ephemeralTimes.deadFor
      const others = state === "alive" ? alive - 1 : alive
      return isDead || (!isUp(peer) && elsewhere.isGone(record, others)) ? [record] : []
    })
    if (gone.length === 0) return file.save
    forgotten.forgetUntil(gone, ticker.now() + ephemeralTimes.forgottenFor)
    // First: who sees that it is gone may take it that it stays so.
    return Effect.zipRight(file.save, catalogue.rejudge(gone.map(({ peer }) => peer)))
  })

/** Until the scope closes. */
export const keepEphemeral = (options: EphemeralOptions): Effect.Effect<void, never, Scope.Scope> =>
  forgetEphemeral(options).pipe(
    Effect.catchAllDefect((defect) =>
      Effect.logError("ephemeral nodes were not forgotten", defect)
    ),
    Effect.delay(ephemeralTimes.look),
    Effect.forever,
    Effect.forkScoped,
    Effect.asVoid
  )
