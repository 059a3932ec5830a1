/**
 * The sessions of a node: what request threads make their links from (model/Session.ts). One comes
 * of every handshake; while two nodes stay connected they agree on a new one in less than an hour,
 * and whenever either certificate was renewed. A session outlives its connection, so that links can
 * be made while the mesh thread is busy or the connection is being made again; it ends when the peer
 * leaves, is revoked, or shows no newer certificate in time, and every link made from it with it, and with both
 * what a connection could be resumed by.
 */
import type { PeerKey } from "../../model/Names.ts"
import type { Session, SessionFacts } from "../../model/Session.ts"
import { defaultSkew, type VerifiedCertificate } from "./Certificate.ts"
import type { Grant } from "./Grant.ts"
import type { Resumable, ResumptionSecret, Resumptions } from "./Resumption.ts"
import type { RevocationsCell } from "./Revocations.ts"
import type { SessionSecret } from "./SessionSecret.ts"

/** For so long links can be made from a session, ms. */
export const sessionLife = 2 * 3_600_000

/** From this age on it is time for another, ms: less than an hour. */
export const sessionRenewal = 50 * 60_000

/** For so long a connection can be resumed by what was agreed with a session, ms. */
export const resumptionLife = 3_600_000

/** Of a peer: two that dial each other at once may each keep the other's last. */
const maxResumptions = 2

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

interface Kept extends ResumptionSecret {
  readonly peer: PeerKey
  readonly madeAt: number
  offered: boolean
}

interface Entry {
  certificate: VerifiedCertificate
  session: Session
  madeAt: number
  /** The newest last. */
  resumptions: Array<Kept>
}

export class SessionBook implements Resumptions {
  readonly #options: SessionBookOptions
  readonly #limit: number
  readonly #resumptions = new Map<string, Kept>()
  /** In the order in which they were made. */
  readonly #entries = new Map<PeerKey, Entry>()

  constructor(options: SessionBookOptions) {
    this.#options = options
    this.#limit = options.limit ?? 16_384
  }

  /** Both sides have agreed on one. */
  made(certificate: VerifiedCertificate, { id, secret, resumption }: SessionSecret): void {
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
    const resumptions = this.#entries.get(peer)?.resumptions ?? []
    this.#entries.delete(peer)
    const [oldest] = this.#entries.size >= this.#limit ? this.#entries.keys() : []
    if (oldest !== undefined) this.end(oldest, "there are too many peers")
    this.#entries.set(peer, { certificate, session, madeAt: now, resumptions })
    if (resumption !== undefined)
      this.#keep(resumptions, { ...resumption, peer, madeAt: now, offered: false })
    this.#options.onSession(session)
  }

  resumable(peer: PeerKey): Resumable | undefined {
    const newest = this.#entries.get(peer)?.resumptions.at(-1)
    return newest?.offered === false ? this.redeemable(newest.id) : undefined
  }

  offered(id: string): void {
    const kept = this.#resumptions.get(id)
    if (kept !== undefined) kept.offered = true
  }

  redeemable(id: string): Resumable | undefined {
    const kept = this.#resumptions.get(id)
    const entry = kept && this.#entries.get(kept.peer)
    if (kept === undefined || entry === undefined || this.#options.isOut?.() === true) {
      return undefined
    }
    const age = this.#options.now() - kept.madeAt
    // A clock that was set back says nothing of how old it is.
    return age >= 0 && age < resumptionLife
      ? { id, secret: kept.secret, certificate: entry.certificate }
      : undefined
  }

  spend(id: string): void {
    const kept = this.#resumptions.get(id)
    if (kept === undefined) return
    this.#resumptions.delete(id)
    const entry = this.#entries.get(kept.peer)
    if (entry !== undefined) entry.resumptions = entry.resumptions.filter((one) => one !== kept)
  }

  #keep(resumptions: Array<Kept>, kept: Kept): void {
    this.#resumptions.set(kept.id, kept)
    resumptions.push(kept)
    const over = resumptions.length > maxResumptions ? resumptions.shift() : undefined
    if (over !== undefined) this.#resumptions.delete(over.id)
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
    const entry = this.#entries.get(peer)
    if (entry === undefined) return
    for (const { id } of entry.resumptions) this.#resumptions.delete(id)
    this.#entries.delete(peer)
    this.#options.onEnd(peer, reason)
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
