/**
 * The certificates of the peers that are connected right now. An entry lives as long as at least
 * one connection to its peer; at the limit further peers are refused, because a connected peer
 * whose rights nobody knows is worse than one that has to try elsewhere.
 */
import type { PeerKey } from "../../model/Names.ts"
import type { VerifiedCertificate } from "./Certificate.ts"

/** Two that dialled each other at once have two, and so have those that try addresses. */
const maxConnectionsOfOne = 16

interface Entry {
  certificate: VerifiedCertificate
  connections: number
}

const later = (a: VerifiedCertificate, b: VerifiedCertificate): VerifiedCertificate =>
  b.notAfter >= a.notAfter ? b : a

export class AdmittedPeers {
  readonly limit: number
  readonly #entries = new Map<PeerKey, Entry>()

  /** Default: more connections than one node can use. */
  constructor(limit = 10_000) {
    this.limit = limit
  }

  get size(): number {
    return this.#entries.size
  }

  /** What a connected peer may do; undefined when it is not connected. */
  get(peer: PeerKey): VerifiedCertificate | undefined {
    return this.#entries.get(peer)?.certificate
  }

  /** All of them, for `skein doctor` and for closing what was revoked. */
  certificates(): ReadonlyArray<VerifiedCertificate> {
    return Array.from(this.#entries.values(), (entry) => entry.certificate)
  }

  /** Connected peers whose certificate ended before `now` (wall clock, ms) and was not renewed. */
  expired(now: number): ReadonlyArray<VerifiedCertificate> {
    return this.certificates().filter((certificate) => certificate.notAfter < now)
  }

  hasRoomFor(peer: PeerKey): boolean {
    const known = this.#entries.get(peer)
    return known === undefined
      ? this.#entries.size < this.limit
      : known.connections < maxConnectionsOfOne
  }

  /** Why there is no room. */
  fullFor(peer: PeerKey): string {
    return this.#entries.has(peer)
      ? `peer ${peer} has ${maxConnectionsOfOne} connections with this node; that is the limit`
      : `${this.limit} peers are connected; that is the limit`
  }

  /** Counts a new connection. Returns what to call, once, when it is closed. */
  hold(certificate: VerifiedCertificate): () => void {
    const { peer } = certificate
    const known = this.#entries.get(peer)
    const entry: Entry = known ?? { certificate, connections: 0 }
    entry.certificate = later(entry.certificate, certificate)
    entry.connections++
    this.#entries.set(peer, entry)
    let isHeld = true
    return () => {
      if (!isHeld) return
      isHeld = false
      if (--entry.connections === 0) this.#entries.delete(peer)
    }
  }

  /** A connected peer showed a newer certificate (after renewal, in a signed record). */
  refresh(certificate: VerifiedCertificate): void {
    const entry = this.#entries.get(certificate.peer)
    if (entry !== undefined) entry.certificate = later(entry.certificate, certificate)
  }
}
