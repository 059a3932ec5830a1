/** What this node asks all others when somebody looks, and how it sees that they hold what was set. */
import { Effect } from "effect"
import type { CatalogueShape } from "../mesh/catalogue/CatalogueService.ts"
import type { MembershipShape } from "../mesh/membership/MembershipService.ts"
import type { PeerKey } from "../model/Names.ts"
import type { BusyPeers } from "./BusyPeers.ts"
import type { Convergence } from "./Convergence.ts"
import type { MeshNetwork } from "./MeshNetwork.ts"
import {
  type AccessSurvey,
  type ActorSurvey,
  askActorsByRpc,
  askUseByRpc,
  makeNodeSurvey
} from "./NodeSurvey.ts"
import { makePeerSurvey, type PeerSurvey, peerPortByRpc } from "./PeerSurvey.ts"
import { makeSettingSpread, type SettingSpread } from "./SettingSpread.ts"

export interface MeshSurveysOptions {
  readonly self: PeerKey
  readonly network: Pick<MeshNetwork, "clients" | "keeper">
  readonly catalogue: CatalogueShape
  readonly membership: MembershipShape
  readonly convergence: Convergence
  readonly busy: BusyPeers
}

export interface MeshSurveys {
  readonly survey: PeerSurvey
  readonly accessSurvey: AccessSurvey
  readonly actorSurvey: ActorSurvey
  readonly settingSpread: SettingSpread
}

export const makeMeshSurveys = ({
  busy,
  catalogue,
  convergence,
  membership,
  network: { clients, keeper },
  self
}: MeshSurveysOptions): Effect.Effect<MeshSurveys> => {
  const isConnected = (peer: PeerKey) => keeper.isUp(peer)
  return Effect.map(
    makePeerSurvey({
      connect: peerPortByRpc(clients),
      isConnected,
      isBusy: busy.isBusy,
      catalogue: catalogue.current,
      onLooked: (peer, same) => convergence.looked(peer, same)
    }),
    (survey) => ({
      survey,
      accessSurvey: makeNodeSurvey({ ask: askUseByRpc(clients), isConnected }),
      actorSurvey: makeNodeSurvey({ ask: askActorsByRpc(clients), isConnected }),
      settingSpread: makeSettingSpread({
        members: () =>
          membership
            .members()
            .flatMap(({ peer, state }) =>
              peer === self || state === "left" ? [] : [{ peer, isThere: state !== "dead" }]
            ),
        isConnected,
        versions: (peer, buckets) =>
          Effect.flatMap(clients.client(peer), (client) => client.CatalogueBuckets({ buckets }))
      })
    })
  )
}
