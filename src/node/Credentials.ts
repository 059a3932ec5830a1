/**
 * What this node shows who it is by, kept alive: its certificate, under the newest root, and the sessions that
 * links are made from, which a new certificate replaces.
 */
import { Effect, type Scope } from "effect"
import type { Supervisor } from "../mesh/actor/Supervisor.ts"
import type { CatalogueShape } from "../mesh/catalogue/CatalogueService.ts"
import type { Signers } from "../mesh/trust/Nearness.ts"
import type { IdentityCell } from "../mesh/trust/NodeIdentity.ts"
import type { PeerConduct } from "../mesh/trust/PeerConduct.ts"
import type { RecordAudit } from "../model/AuditEvent.ts"
import type { PeerKey } from "../model/Names.ts"
import { renewedEvent } from "./AuditEvents.ts"
import { type CertificateRenewal, keepCertificate } from "./CertificateRenewal.ts"
import type { MeshNetwork } from "./MeshNetwork.ts"
import type { MeshTrust } from "./MeshTrust.ts"
import { keepUnderNewestRoot } from "./RootMove.ts"
import { SessionRenewal } from "./SessionRenewal.ts"

export interface CredentialsOptions {
  readonly dataDir: string
  readonly identity: IdentityCell
  readonly network: Pick<MeshNetwork, "clients" | "keeper">
  readonly trust: MeshTrust
  readonly catalogue: Pick<CatalogueShape, "current" | "resign">
  readonly conduct: PeerConduct
  readonly audit: RecordAudit
}

export interface Credentials {
  readonly sessionRenewal: SessionRenewal
  readonly renewal: CertificateRenewal
  /** Who at hand could sign for this node. */
  readonly signers: () => Signers
  /** The own certificate is another one: others are told. */
  readonly certificateChanged: Effect.Effect<void>
  readonly rootMove: { readonly wake: () => void }
}

export const keepCredentials = (
  options: CredentialsOptions
): Effect.Effect<Credentials, never, Scope.Scope | Supervisor> =>
  Effect.gen(function* () {
    const { audit, catalogue, conduct, dataDir, identity, network, trust } = options
    const { clients, keeper } = network
    const { admitted } = trust
    const self = identity.current.peer
    const sessionRenewal = new SessionRenewal({
      ...{ self, admitted, conduct, clients, keeper },
      book: trust.sessions,
      thrownOut: trust.thrownOut
    })
    yield* sessionRenewal.keep
    const signers = () => ({
      peers: keeper.connectedPeers(),
      certificateOf: (peer: PeerKey) => admitted.get(peer)
    })
    const certificateChanged = Effect.suspend(() => {
      audit(renewedEvent(identity.current))
      trust.renewed()
      return Effect.zipRight(catalogue.resign, sessionRenewal.renewAll)
    })
    const renewing = {
      ...{ dataDir, identity, signers },
      client: clients.client,
      onRenewed: certificateChanged
    }
    const renewal = yield* keepCertificate(renewing)
    const rootMove = yield* keepUnderNewestRoot({
      ...renewing,
      signers: () => ({ peers: keeper.connectedPeers(), certificateOf: trust.certificateOf }),
      members: () =>
        Array.from(catalogue.current().entries(), ({ record }) => record.peer).filter(
          (peer) => peer !== self
        )
    })
    return { sessionRenewal, renewal, signers, certificateChanged, rootMove }
  })
