/**
 * Members that were away when the root they stood under was withdrawn. Their records count for nothing any
 * more, and still people look for them: they are shown as dead until they are back, and may be forgotten or
 * revoked as any dead host. As long as their records would have lasted, and by the nodes that held those: one
 * that is started afterwards knows nothing of them.
 */
import type { NodeEntry } from "../mesh/catalogue/RecordEntry.ts"
import type { VerifiedCertificate } from "../mesh/trust/Certificate.ts"
import type { Revocations } from "../mesh/trust/Revocations.ts"
import type { Roots } from "../mesh/trust/Roots.ts"
import type { PeerKey } from "../model/Names.ts"
import type { NodeRecord } from "../model/NodeRecord.ts"

export interface Stranded {
  /** The last that was held. */
  readonly record: NodeRecord
  readonly certificate: VerifiedCertificate
  /** When their root was withdrawn here, and when their record would be over: wall clock, ms. */
  readonly since: number
  readonly until: number
}

/** As many as a withdrawal names. */
const maxStranded = 512

export interface StrandedFacts {
  readonly self: PeerKey
  readonly roots: Roots
  readonly certificateOf: (peer: PeerKey) => VerifiedCertificate | undefined
  /** Wall clock, ms. */
  readonly now: number
}

export interface StrandedLook {
  readonly isHeld: (peer: PeerKey) => boolean
  readonly revocations: Revocations
  /** Wall clock, ms. */
  readonly now: number
}

export class StrandedMembers {
  readonly #all = new Map<PeerKey, Stranded>()

  /** To be asked before the catalogue gives them up. */
  note(entries: Iterable<NodeEntry>, { certificateOf, now, roots, self }: StrandedFacts): void {
    for (const { expiresAt, record } of entries) {
      const certificate = certificateOf(record.peer)
      if (certificate === undefined || roots.whyWithdrawn(certificate.root) === undefined) continue
      if (record.peer === self || record.state === "left") continue
      if (this.#all.size >= maxStranded && !this.#all.has(record.peer)) return
      this.#all.set(record.peer, { record, certificate, since: now, until: expiresAt })
    }
  }

  /** Those that are not back, nor out in another way. */
  all({ isHeld, now, revocations }: StrandedLook): ReadonlyArray<Stranded> {
    for (const [peer, { certificate, until }] of this.#all) {
      if (isHeld(peer) || until <= now || revocations.outBy(certificate) !== undefined) {
        this.#all.delete(peer)
      }
    }
    return [...this.#all.values()]
  }

  forget(peers: ReadonlyArray<PeerKey>): void {
    for (const peer of peers) this.#all.delete(peer)
  }
}
