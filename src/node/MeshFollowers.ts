/**
 * Who follows the catalogue, membership and connections of this node: names, links, findings and the
 * view that calls go by. Each by itself: what breaks in one of them keeps no change from the others.
 */
import { Effect, type Scope } from "effect"
import { Catalogue, type EntryChange } from "../mesh/catalogue/Catalogue.ts"
import type { CatalogueShape } from "../mesh/catalogue/CatalogueService.ts"
import type { MeshFindings } from "../mesh/catalogue/MeshFindings.ts"
import type { ConnectionKeeper } from "../mesh/host/ConnectionKeeper.ts"
import type { MembershipShape } from "../mesh/membership/MembershipService.ts"
import type { LinkKeeper } from "./LinkKeeper.ts"
import type { MeshMet } from "./MeshMet.ts"
import type { PeerNames } from "./PeerNames.ts"
import type { ViewKeeper } from "./ViewKeeper.ts"

export interface MeshFollowersOptions {
  readonly catalogue: CatalogueShape
  readonly membership: MembershipShape
  readonly keeper: ConnectionKeeper
  readonly names: PeerNames
  readonly linkKeeper: LinkKeeper
  readonly found: MeshFindings
  readonly viewKeeper: ViewKeeper
  readonly met: MeshMet
  readonly runFork: (effect: Effect.Effect<void>) => void
}

/** Until the scope closes. All of them know what there is when this is done. */
export const followMesh = ({
  catalogue,
  found,
  keeper,
  linkKeeper,
  membership,
  met,
  names,
  runFork,
  viewKeeper
}: MeshFollowersOptions): Effect.Effect<void, never, Scope.Scope> => {
  const followers: ReadonlyArray<(changes: ReadonlyArray<EntryChange>) => void> = [
    (changes) => names.follow(changes),
    (changes) =>
      membership.changeRecords(
        changes.flatMap(({ after }) => after?.record ?? []),
        changes.flatMap(({ before, after }) =>
          after === undefined && before !== undefined ? [before.record.peer] : []
        )
      ),
    (changes) => linkKeeper.followRecords(changes),
    (changes) => found.records(changes),
    (changes) => viewKeeper.records(changes)
  ]
  const onUp = (peer: Parameters<typeof catalogue.syncWith>[0]): void => {
    membership.linkUp(peer)
    // Whoever was away for a moment may have missed gossip, here or there.
    runFork(
      catalogue.syncWith(peer).pipe(
        Effect.tap(() => Effect.sync(() => met.answered())),
        Effect.catchAll(({ message }) =>
          Effect.logDebug(`no comparison of catalogues with ${peer}: ${message}`)
        )
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
        const known = catalogue.current().changesSince(Catalogue.empty)
        for (const follow of followers) follow(known)
        linkKeeper.follow()
      })
    )
  )
}
