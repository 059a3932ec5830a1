/**
 * When a node first offers its services. One that was here before goes by the rules on its disk. A
 * newcomer has yet to hear who may call what: it offers nothing before it has compared catalogues with
 * a member, and is ready only when a member knows what it offers; gossip, which it has hardly begun to
 * take part in, might bring that to nobody for a while.
 */
import { Effect, Schedule, type Scope } from "effect"
import type { ReadinessItem } from "../admin/NodeModel.ts"
import type { NodeConfig } from "../config/NodeConfig.ts"
import type { CatalogueShape } from "../mesh/catalogue/CatalogueService.ts"
import type { PeerKey } from "../model/Names.ts"
import type { Offer } from "./Offer.ts"

export interface FirstOfferOptions {
  readonly offer: Pick<Offer, "follow">
  /** It has no rules from before, and there is somebody to hear them from. */
  readonly isNewcomer: boolean
  /** Done when the mesh has been met. */
  readonly met: Effect.Effect<void>
  /** Members with a live connection. */
  readonly peers: () => ReadonlyArray<PeerKey>
  readonly syncWith: CatalogueShape["syncWith"]
}

export interface FirstOffer extends Pick<Offer, "follow"> {
  /** Done when the mesh has been met, and knows what this node offers. */
  readonly ready: Effect.Effect<void>
  /** What `/ready` says as long as that is not so. */
  readonly missing: () => ReadonlyArray<ReadinessItem>
}

/** Between tries while nobody can be told. */
const tellAgain = Schedule.union(Schedule.exponential("100 millis"), Schedule.spaced("2 seconds"))

export const makeFirstOffer = (
  options: FirstOfferOptions,
  config: NodeConfig
): Effect.Effect<FirstOffer, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { isNewcomer, met, offer, peers, syncWith } = options
    if (!isNewcomer) {
      yield* offer.follow(config)
      return { follow: offer.follow, ready: met, missing: () => [] }
    }
    const told = yield* Effect.makeLatch(false)
    // A reload comes while the first config is followed, or before.
    const one = yield* Effect.makeSemaphore(1)
    let state: "waiting" | "offering" | "told" = "waiting"
    let latest = config

    // Twice, as the first may be a comparison that began before there was anything to tell.
    const tellOne = (peer: PeerKey) => Effect.zipRight(syncWith(peer), syncWith(peer))
    const tell = Effect.suspend(() => Effect.firstSuccessOf(peers().map(tellOne))).pipe(
      // A defect as well: there is nobody to tell, or what one of them answered makes no sense.
      Effect.catchAllDefect((defect) => Effect.fail(defect)),
      Effect.tapError((error) =>
        Effect.logWarning(`nobody was told yet what this node offers: ${error}`)
      ),
      Effect.retry(tellAgain)
    )
    yield* met.pipe(
      Effect.zipRight(
        one.withPermits(1)(
          Effect.suspend(() => {
            state = "offering"
            return offer.follow(latest)
          })
        )
      ),
      Effect.zipRight(tell),
      Effect.zipRight(
        Effect.suspend(() => {
          state = "told"
          return told.open
        })
      ),
      Effect.forkScoped
    )
    return {
      follow: (next) =>
        one.withPermits(1)(
          Effect.suspend(() => {
            latest = next
            return state === "waiting" ? Effect.void : offer.follow(next)
          })
        ),
      ready: told.await,
      missing: () =>
        state === "told"
          ? []
          : [
              {
                name: "services",
                ready: false,
                detail:
                  state === "waiting"
                    ? "offered when the rules of the mesh are heard"
                    : "no other node knows yet what this one offers"
              }
            ]
    }
  })
