/**
 * Who belongs to the mesh, as this node has met them, what it shares with them, and who is thrown out of
 * it, this node itself among them. It is there before anybody is met; what was said about trust comes with
 * the catalogue.
 */
import type { Effect } from "effect"
import { catalogueLimits } from "../mesh/catalogue/Catalogue.ts"
import type { CatalogueShape } from "../mesh/catalogue/CatalogueService.ts"
import type { ConnectionKeeper } from "../mesh/host/ConnectionKeeper.ts"
import { AdmittedPeers } from "../mesh/trust/AdmittedPeers.ts"
import { BoundedCache } from "../mesh/trust/BoundedCache.ts"
import type { VerifiedCertificate } from "../mesh/trust/Certificate.ts"
import type { EnvelopeCache } from "../mesh/trust/Envelope.ts"
import type { Capability } from "../mesh/trust/Grant.ts"
import type { IdentityCell } from "../mesh/trust/NodeIdentity.ts"
import { describeRevocation, Revocations, type RevocationsCell } from "../mesh/trust/Revocations.ts"
import { factsOf, SessionBook } from "../mesh/trust/SessionBook.ts"
import type { RecordAudit } from "../model/AuditEvent.ts"
import type { NodeName, PeerKey } from "../model/Names.ts"
import type { Session, SessionFacts } from "../model/Session.ts"
import { hearRevocations } from "./Expulsion.ts"
import { RootsKeeper } from "./RootsKeeper.ts"
import { StrandedMembers } from "./StrandedMembers.ts"
import { TrustKeeper } from "./TrustKeeper.ts"

export interface MeshTrustOptions {
  readonly dataDir: string
  readonly identity: IdentityCell
  readonly audit: RecordAudit
  /** Wall clock, ms. */
  readonly wall: () => number
  readonly onSession: (session: Session) => void
  readonly onSessionEnd: (peer: PeerKey, reason: string) => void
  /** By what this node is out of the mesh, so that nobody offers it anything; undefined: it is in again. */
  readonly onOut: (reason: string | undefined) => void
  /** What this node may do has changed. */
  readonly onRights: (rights: SessionFacts) => void
}

export interface TrustFollowing {
  readonly catalogue: CatalogueShape
  readonly connections: ConnectionKeeper
  readonly cache: EnvelopeCache
  readonly run: <A>(effect: Effect.Effect<A>) => Promise<A>
  readonly runFork: (effect: Effect.Effect<void>) => void
  /** Under which roots certificates count has changed. */
  readonly onRoots: () => void
  /** These are seen with other eyes from now on. */
  readonly lookAnew: (members: ReadonlyArray<PeerKey>) => void
}

export class MeshTrust {
  readonly admitted = new AdmittedPeers()
  readonly revocations: RevocationsCell = { current: Revocations.none }
  readonly sessions: SessionBook
  /** Who was away when a root was withdrawn. */
  readonly stranded = new StrandedMembers()
  readonly #options: MeshTrustOptions
  /** Certificates that came with records. */
  readonly #shown = new BoundedCache<VerifiedCertificate>(catalogueLimits.records)
  readonly #heard = Promise.withResolvers<void>()
  #keeper: TrustKeeper | undefined
  #roots: RootsKeeper | undefined
  #following: TrustFollowing | undefined
  /** Why this node was out when others were last looked at. */
  #out: string | undefined

  constructor(options: MeshTrustOptions) {
    this.#options = options
    this.sessions = new SessionBook({
      revocations: this.revocations,
      isOut: () => this.thrownOut() !== undefined,
      now: options.wall,
      onSession: options.onSession,
      onEnd: options.onSessionEnd
    })
  }

  /** What was said about trust, once the catalogue is there. */
  get keeper(): TrustKeeper | undefined {
    return this.#keeper
  }

  /** Done when all is known that the disk holds: before that nobody is judged. */
  get heard(): Promise<void> {
    return this.#heard.promise
  }

  /** By what this node itself is out, if it is. */
  readonly thrownOut = (): string | undefined => {
    const { identity } = this.#options
    const out = this.revocations.current.outBy(identity.current.certificate)
    return out === undefined ? this.leftBehind() : describeRevocation(out)
  }

  /** Why this node's own certificate counts for nothing though nobody has thrown it out. */
  readonly leftBehind = (): string | undefined => {
    const { certificate, roots } = this.#options.identity.current
    const withdrawn = roots.whyWithdrawn(certificate.root)
    return withdrawn && `its certificate was not renewed while ${withdrawn}`
  }

  /** A handshake brought news of the mesh's roots, which the identity has by now. */
  readonly rootsHeard = (): void => this.#roots?.changed()

  /** This node has another certificate: it may belong to the mesh again. */
  readonly renewed = (): void => this.#look()

  /** What this node may offer and speak for. */
  readonly ownRights = (): SessionFacts => {
    const { certificate, peer } = this.#options.identity.current
    return factsOf(certificate, this.revocations.current.withheldFrom(peer))
  }

  /** What any member may; undefined: its certificate is not at hand. */
  readonly rightsOf = (peer: PeerKey): SessionFacts | undefined => {
    if (peer === this.#options.identity.current.peer) return this.ownRights()
    const certificate = this.certificateOf(peer)
    return certificate && factsOf(certificate, this.revocations.current.withheldFrom(peer))
  }

  /** As it was shown last: at a handshake, or with a record. */
  readonly certificateOf = (peer: PeerKey): VerifiedCertificate | undefined =>
    this.admitted.get(peer) ?? this.#shown.get(peer)

  /** A record brought this certificate, which may be newer than the one of the handshake. */
  readonly showed = (certificate: VerifiedCertificate): void => {
    // Records come in any order, and an older one says nothing new.
    const known = this.#shown.get(certificate.peer)
    if (known === undefined || known.notAfter <= certificate.notAfter) {
      this.#shown.set(certificate.peer, certificate)
    }
    this.admitted.refresh(certificate)
    this.sessions.refresh(certificate)
  }

  /** Members at hand whose certificates grant it. */
  readonly holders = (capability: Capability): ReadonlyArray<NodeName> =>
    this.admitted
      .certificates()
      .flatMap(({ capabilities, name }) => (capabilities.includes(capability) ? [name] : []))

  /** Goes by what the catalogue holds, at once and from now on. */
  follow(following: TrustFollowing): void {
    const { admitted, revocations: cell, sessions, thrownOut } = this
    const { cache, catalogue, connections: keeper, run, runFork } = following
    const { audit, dataDir, identity, onRights, onSessionEnd } = this.#options
    const self = identity.current.peer
    this.#following = following
    const roots = new RootsKeeper({
      ...{ dataDir, identity, admitted, sessions, connections: keeper, catalogue, audit, runFork },
      onWithdrawn: () =>
        this.stranded.note(catalogue.current().entries(), {
          ...{ self, roots: identity.current.roots, certificateOf: this.certificateOf },
          now: this.#options.wall()
        }),
      onChanged: () => {
        this.#keeper?.rootsChanged()
        this.#look()
        following.onRoots()
      }
    })
    this.#roots = roots
    this.#keeper = new TrustKeeper({
      ...{ identity, catalogue, cache, run },
      hearOfRoots: (statements) => roots.take(statements),
      hear: (next) => {
        runFork(
          hearRevocations(next, {
            ...{ self, cell, admitted, sessions, keeper, catalogue, thrownOut, onSessionEnd }
          })
        )
        this.#look()
        onRights(this.ownRights())
      }
    })
  }

  #look(): void {
    const out = this.thrownOut()
    if (out === this.#out || this.#following === undefined) return
    this.#out = out
    this.#standAnew(this.#following)
  }

  /** From now on others may be judged. */
  begin(): void {
    this.#heard.resolve()
  }

  /** Nobody else's services are there for a node that does not belong to the mesh, and they are again. */
  #standAnew({ catalogue, lookAnew }: TrustFollowing): void {
    const { identity, onOut } = this.#options
    const others = Array.from(catalogue.current().entries(), ({ record }) => record).filter(
      ({ peer }) => peer !== identity.current.peer
    )
    lookAnew(others.map(({ peer }) => peer))
    onOut(this.thrownOut())
  }
}
