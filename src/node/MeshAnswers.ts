/** What this node answers when others ask it over the mesh's RPC. */
import { Clock, Effect, Either } from "effect"
import type { CatalogueShape } from "../catalogue/CatalogueService.ts"
import type { AdmittedPeers } from "../identity/AdmittedPeers.ts"
import type { IdentityCell } from "../identity/NodeIdentity.ts"
import { issueRenewal } from "../identity/Renewal.ts"
import { callingPeer } from "../link/MeshRpcServer.ts"
import type { MembershipShape } from "../membership/MembershipService.ts"
import type { PeerClocks } from "../membership/PeerClocks.ts"
import { MeshRpc, MeshRpcError } from "../model/MeshRpc.ts"
import type { DialBack } from "./DialBack.ts"

export interface MeshAnswersOptions {
  readonly identity: IdentityCell
  readonly admitted: AdmittedPeers
  readonly catalogue: Pick<CatalogueShape, "handlers" | "receive">
  readonly membership: Pick<MembershipShape, "handlers">
  readonly clocks: PeerClocks
  readonly dialBack: DialBack
}

export const meshAnswers = ({
  identity,
  admitted,
  catalogue,
  clocks,
  membership,
  dialBack
}: MeshAnswersOptions) =>
  MeshRpc.toLayer({
    ...catalogue.handlers,
    ...membership.handlers,
    Ping: ({ accused, clock }, { headers }) => {
      const from = callingPeer({ headers })
      if (clock !== undefined) clocks.told(from, clock)
      return Effect.map(membership.handlers.Ping({ accused }, from), (answer) => ({
        ...answer,
        clock: Math.floor(clocks.wall())
      }))
    },
    RenewCertificate: (_, { headers }) =>
      Effect.gen(function* () {
        const peer = callingPeer({ headers })
        const certificate = admitted.get(peer)
        const now = yield* Clock.currentTimeMillis
        const renewed =
          certificate === undefined
            ? Either.left({ message: `the certificate of ${peer} is not at hand` })
            : issueRenewal(identity.current, certificate, now)
        return yield* Either.mapLeft(
          renewed,
          ({ message }) => new MeshRpcError({ code: "refused", message })
        )
      }),
    DialBack: ({ address }, { headers }) => dialBack(callingPeer({ headers }), address),
    DrainNotice: ({ envelope }) =>
      catalogue.receive(envelope).pipe(
        Effect.mapError(({ message }) => new MeshRpcError({ code: "invalid", message })),
        Effect.asVoid
      )
  })
