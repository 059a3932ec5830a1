/**
 * Who follows the catalogue, membership and connections of this node: names, links, findings and the
 * view that calls go by. Each by itself: what breaks in one of them keeps no change from the others.
 *
 * Whom a node watches and is connected with depends on all who are there. A newcomer hears of them one
 * after the other, and would watch and dial most of them in turn, of whom it keeps eight: so it takes its
 * place when its first comparison of catalogues is over, however that went.
 */
import { Effect, type Scope } from "effect"
import { Catalogue } from "../mesh/catalogue/Catalogue.ts"
import type { EntryChange } from "../mesh/catalogue/CatalogueChange.ts"
import type { CatalogueShape } from "../mesh/catalogue/CatalogueService.ts"
import type { MeshFindings } from "../mesh/catalogue/MeshFindings.ts"
import type { ConnectionKeeper } from "../mesh/host/ConnectionKeeper.ts"
import type { MembershipShape } from "../mesh/membership/MembershipService.ts"
import type { LinkKeeper } from "./LinkKeeper.ts"
import type { MeshMet } from "./MeshMet.ts"
import type { PeerNames } from "./PeerNames.ts"
import type { ViewKeeper } from "./ViewKeeper.ts"

export interface MeshFollowersOptions {
  readonly catalogue: Pick<CatalogueShape, "current" | "subscribe" | "syncWith">
  readonly membership: Pick<
    MembershipShape,
    "changeRecords" | "linkDown" | "linkUp" | "stateOf" | "subscribe"
  >
  readonly keeper: Pick<ConnectionKeeper, "connectedPeers" | "onDown" | "onUp" | "wake">
  readonly names: Pick<PeerNames, "follow">
  readonly linkKeeper: Pick<LinkKeeper, "follow" | "followRecords" | "knockFurther" | "settle">
  readonly found: Pick<MeshFindings, "members" | "records">
  readonly viewKeeper: Pick<ViewKeeper, "members" | "records">
  readonly met: Pick<MeshMet, "answered">
  /** It knows nobody but those that its token names. */
  readonly isNewcomer: boolean
  readonly runFork: (effect: Effect.Effect<void>) => void
}

/** Until a newcomer tries the next door, while nobody has opened. */
const knockEvery = "1 second"

type Follow = (changes: ReadonlyArray<EntryChange>) => void

/** Until the scope closes. All of them know what there is when this is done. */
export const followMesh = ({
  catalogue,
  found,
  isNewcomer,
  keeper,
  linkKeeper,
  membership,
  met,
  names,
  runFork,
  viewKeeper
}: MeshFollowersOptions): Effect.Effect<void, never, Scope.Scope> => {
  const everything = () => catalogue.current().changesSince(Catalogue.empty)
  let hasPlace = !isNewcomer
  /** What goes by who else is there. */
  const placed: ReadonlyArray<Follow> = [
    (changes) =>
      membership.changeRecords(
        changes.flatMap(({ after }) => after?.record ?? []),
        changes.flatMap(({ before, after }) =>
          after === undefined && before !== undefined ? [before.record.peer] : []
        )
      ),
    (changes) => linkKeeper.followRecords(changes)
  ]
  const followers: ReadonlyArray<Follow> = [
    (changes) => names.follow(changes),
    ...placed.map(
      (follow): Follow =>
        (changes) =>
          void (hasPlace && follow(changes))
    ),
    (changes) => found.records(changes),
    (changes) => viewKeeper.records(changes)
  ]
  const takePlace = () => {
    if (hasPlace) return
    hasPlace = true
    const known = everything()
    for (const follow of placed) follow(known)
    linkKeeper.settle()
  }
  const knock = Effect.sync(() => {
    if (!hasPlace && keeper.connectedPeers().length === 0) linkKeeper.knockFurther()
  })
  const onUp = (peer: Parameters<typeof catalogue.syncWith>[0]): void => {
    membership.linkUp(peer)
    // Whoever was away for a moment may have missed gossip, here or there.
    runFork(
      catalogue.syncWith(peer).pipe(
        Effect.tap(() => Effect.sync(() => met.answered())),
        Effect.catchAll(({ message }) =>
          Effect.logDebug(`no comparison of catalogues with ${peer}: ${message}`)
        ),
        Effect.ensuring(Effect.sync(takePlace))
      )
    )
  }
  const subscribe = () => [
    ...followers.map((follow) => catalogue.subscribe((_, changes) => follow(changes))),
    membership.subscribe(() => linkKeeper.follow()),
    membership.subscribe((moved) => {
      for (const peer of moved) if (membership.stateOf(peer) === "alive") keeper.wake(peer)
    }),
    membership.subscribe((moved) => found.members(moved)),
    membership.subscribe((moved) => viewKeeper.members(moved)),
    keeper.onUp(onUp),
    keeper.onDown((peer) => membership.linkDown(peer))
  ]
  return Effect.acquireRelease(Effect.sync(subscribe), (stops) =>
    Effect.sync(() => {
      for (const stop of stops) stop()
    })
  ).pipe(
    // After subscribing, so that no change falls between the two.
    Effect.zipRight(
      Effect.sync(() => {
        const known = everything()
        for (const follow of followers) follow(known)
        linkKeeper.follow()
      })
    ),
    Effect.zipRight(
      knock.pipe(
        Effect.delay(knockEvery),
        Effect.repeat({ until: () => hasPlace }),
        Effect.forkScoped
      )
    )
  )
}
