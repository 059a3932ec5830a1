/**
 * The sessions of a node: what request threads make their links from (model/Session.ts). One comes
 * of every handshake; while two nodes stay connected they agree on a new one in less than an hour,
 * and whenever either certificate was renewed. A session outlives its connection, so that links can
 * be made while the mesh thread is busy or the connection is being made again; it ends when the peer
 * leaves, is revoked, or shows no newer certificate in time, and every link made from it with it.
 */
import type { PeerKey } from "../../model/Names.ts"
import type { Session, SessionFacts } from "../../model/Session.ts"
import { defaultSkew, type VerifiedCertificate } from "./Certificate.ts"
import type { Grant } from "./Grant.ts"
import type { RevocationsCell } from "./Revocations.ts"
import type { SessionSecret } from "./SessionSecret.ts"

/** For so long links can be made from a session, ms. */
export const sessionLife = 2 * 3_600_000

/** From this age on it is time for another, ms: less than an hour. */
export const sessionRenewal = 50 * 60_000

/** What request threads are told of a certificate. */
export const factsOf = (
  { services, speaks = [] }: Grant,
  withheld: ReadonlyArray<string> = []
): SessionFacts => ({ services, speaks, ...(withheld.length > 0 && { withheld }) })

export interface SessionBookOptions {
  /** Wall clock, ms. */
  readonly now: () => number
  readonly onSession: (session: Session) => void
  readonly onEnd: (peer: PeerKey, reason: string) => void
  /** With whom there is none, whatever was agreed. Default: nobody is thrown out. */
  readonly revocations?: RevocationsCell | undefined
  /** This node itself does not belong to the mesh any more. */
  readonly isOut?: (() => boolean) | undefined
  /** Peers of which sessions are kept, at most; without room the oldest is ended. Default 16,384. */
  readonly limit?: number | undefined
}

interface Entry {
  certificate: VerifiedCertificate
  session: Session
  madeAt: number
}

export class SessionBook {
  readonly #options: SessionBookOptions
  readonly #limit: number
  /** In the order in which they were made. */
  readonly #entries = new Map<PeerKey, Entry>()

  constructor(options: SessionBookOptions) {
    this.#options = options
    this.#limit = options.limit ?? 16_384
  }

  /** Both sides have agreed on one. */
  made(certificate: VerifiedCertificate, { id, secret }: SessionSecret): void {
    const { isOut, revocations } = this.#options
    if (isOut?.() === true || revocations?.current.outBy(certificate) !== undefined) return
    const now = this.#options.now()
    const { name, notAfter, peer } = certificate
    const session: Session = {
      id,
      secret,
      peer,
      peerName: name,
      until: Math.min(now + sessionLife, notAfter + defaultSkew),
      facts: factsOf(certificate, revocations?.current.withheldFrom(peer))
    }
    this.#entries.delete(peer)
    const [oldest] = this.#entries.size >= this.#limit ? this.#entries.keys() : []
    if (oldest !== undefined) this.end(oldest, "there are too many peers")
    this.#entries.set(peer, { certificate, session, madeAt: now })
    this.#options.onSession(session)
  }

  /** The peer has shown a newer certificate. */
  refresh(certificate: VerifiedCertificate): void {
    const entry = this.#entries.get(certificate.peer)
    if (entry === undefined || certificate.notAfter <= entry.certificate.notAfter) return
    entry.certificate = certificate
  }

  /** What a thread that begins has to know: of each peer the newest. */
  all(): ReadonlyArray<Session> {
    return Array.from(this.#entries.values(), ({ session }) => session)
  }

  certificateOf(peer: PeerKey): VerifiedCertificate | undefined {
    return this.#entries.get(peer)?.certificate
  }

  /** Whether the session with a peer, if there is one, has to be replaced. */
  isDue(peer: PeerKey): boolean {
    const entry = this.#entries.get(peer)
    return entry !== undefined && this.#options.now() - entry.madeAt >= sessionRenewal
  }

  certificates(): ReadonlyArray<VerifiedCertificate> {
    return Array.from(this.#entries.values(), ({ certificate }) => certificate)
  }

  end(peer: PeerKey, reason: string): void {
    if (this.#entries.delete(peer)) this.#options.onEnd(peer, reason)
  }

  /** Ends the sessions of those whose certificate has run out. Who they were. */
  endExpired(): ReadonlyArray<VerifiedCertificate> {
    const latest = this.#options.now() - defaultSkew
    const over = Array.from(this.#entries.values(), ({ certificate }) => certificate).filter(
      ({ notAfter }) => notAfter < latest
    )
    for (const { name, peer } of over) {
      this.end(peer, `the certificate of ${name} has ended and was not renewed`)
    }
    return over
  }
}
