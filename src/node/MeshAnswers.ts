/** What this node answers when others ask it over the mesh's RPC. */
import { Clock, Effect, Either } from "effect"
import type { CatalogueShape } from "../mesh/catalogue/CatalogueService.ts"
import { MeshRpc, MeshRpcError, type PeerFigures } from "../mesh/host/MeshRpc.ts"
import { callingPeer } from "../mesh/host/MeshRpcServer.ts"
import type { MembershipShape } from "../mesh/membership/MembershipService.ts"
import type { AdmittedPeers } from "../mesh/trust/AdmittedPeers.ts"
import type { IdentityCell } from "../mesh/trust/NodeIdentity.ts"
import { issueRenewal } from "../mesh/trust/Renewal.ts"
import { describeRevocation, type RevocationsCell } from "../mesh/trust/Revocations.ts"
import type { RecordAudit } from "../model/AuditEvent.ts"
import type { ServiceName } from "../model/Names.ts"
import type { AccessUse } from "../request/inbound/AccessGuard.ts"
import { accessUseAnswer, mayHearTraffic } from "./AccessUseAnswer.ts"
import { actorsAnswer, mayHearActors, serviceOf, withheldText } from "./ActorsAnswer.ts"
import { signedEvent } from "./AuditEvents.ts"
import type { Convergence } from "./Convergence.ts"
import type { DialBack } from "./DialBack.ts"
import type { HostActors } from "./HostActors.ts"
import type { SessionRenewal } from "./SessionRenewal.ts"

export interface MeshAnswersOptions {
  readonly identity: IdentityCell
  readonly audit: RecordAudit
  readonly admitted: AdmittedPeers
  readonly revocations: RevocationsCell
  readonly catalogue: Pick<CatalogueShape, "handlers" | "receive">
  readonly membership: Pick<MembershipShape, "handlers">
  readonly convergence: Pick<Convergence, "looked">
  readonly dialBack: DialBack
  readonly sessions: Pick<SessionRenewal, "answer">
  /** How this node fares. */
  readonly figures: () => PeerFigures
  /** How each request thread has met the access rules. */
  readonly accessUse: Effect.Effect<ReadonlyArray<AccessUse>>
  /** How the actors of this host's programs fare. */
  readonly actors: HostActors["ask"]
  /** Lets calls from here go by what the catalogue holds now; done when they do. */
  readonly show: Effect.Effect<void>
}

export const meshAnswers = ({
  identity,
  audit,
  admitted,
  revocations,
  catalogue,
  convergence,
  membership,
  dialBack,
  sessions,
  figures,
  accessUse,
  actors,
  show
}: MeshAnswersOptions) =>
  MeshRpc.toLayer({
    ...catalogue.handlers,
    ...membership.handlers,
    CatalogueDigest: (asked, { headers }) =>
      Effect.tap(catalogue.handlers.CatalogueDigest(asked), ({ same }) =>
        Effect.sync(() => convergence.looked(callingPeer({ headers }), same))
      ),
    RenewCertificate: (_, { headers }) =>
      Effect.gen(function* () {
        const peer = callingPeer({ headers })
        const certificate = admitted.get(peer)
        const now = yield* Clock.currentTimeMillis
        const out = certificate && revocations.current.outBy(certificate)
        if (out !== undefined) {
          return yield* new MeshRpcError({ code: "refused", message: describeRevocation(out) })
        }
        const renewed =
          certificate === undefined
            ? Either.left({ message: `the certificate of ${peer} is not at hand` })
            : issueRenewal(identity.current, certificate, now)
        if (certificate !== undefined && Either.isRight(renewed)) {
          audit(signedEvent(certificate, undefined))
        }
        return yield* Either.mapLeft(
          renewed,
          ({ message }) => new MeshRpcError({ code: "refused", message })
        )
      }),
    NewSession: ({ secret }, { headers }) => sessions.answer(callingPeer({ headers }), secret),
    DialBack: ({ address }, { headers }) => dialBack(callingPeer({ headers }), address),
    PeerStatus: () => Effect.sync(figures),
    AccessUse: ({ service, traffic }, { headers }) =>
      Effect.suspend(() => {
        if (traffic && !mayHearTraffic(admitted.get(callingPeer({ headers })))) {
          const message =
            "it tells who called what to nodes with the capability policy alone, and this one has not got it"
          return new MeshRpcError({ code: "refused", message })
        }
        return Effect.map(accessUse, (use) => accessUseAnswer(use, traffic, service))
      }),
    ActorStatus: (question, { headers }) =>
      Effect.suspend(() => {
        const peer = callingPeer({ headers })
        const certificate = admitted.get(peer)
        const withheld = revocations.current.withheldFrom(peer)
        const asker = certificate && { ...certificate, withheld }
        const mayHear = (service: ServiceName | undefined) => mayHearActors(asker, service)
        if (question.id !== undefined && !mayHear(serviceOf(question))) {
          return new MeshRpcError({ code: "refused", message: withheldText })
        }
        return Effect.map(actors(question), (answer) => actorsAnswer(answer, mayHear))
      }),
    DrainNotice: ({ envelope }) =>
      catalogue.receive(envelope).pipe(
        Effect.mapError(({ message }) => new MeshRpcError({ code: "invalid", message })),
        // Who is answered takes no more calls.
        Effect.tap(() => show),
        Effect.asVoid
      )
  })
