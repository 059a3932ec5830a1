/**
 * The roots of the mesh as this node knows them: takes what settings and peers say of them, keeps it with the
 * identity, and carries it out. Whoever stands under a withdrawn root alone is cut off at once; certificates
 * under it that others hold of a moved member go with the next record.
 */
import { Effect } from "effect"
import type { CatalogueShape } from "../mesh/catalogue/CatalogueService.ts"
import type { ConnectionKeeper } from "../mesh/host/ConnectionKeeper.ts"
import { saveIdentity } from "../mesh/keys/DataDir.ts"
import type { AdmittedPeers } from "../mesh/trust/AdmittedPeers.ts"
import { hearOfRoots, type IdentityCell } from "../mesh/trust/NodeIdentity.ts"
import type { Roots } from "../mesh/trust/Roots.ts"
import type { SessionBook } from "../mesh/trust/SessionBook.ts"
import type { RecordAudit } from "../model/AuditEvent.ts"

export interface RootsKeeperOptions {
  readonly dataDir: string
  readonly identity: IdentityCell
  readonly admitted: Pick<AdmittedPeers, "certificates">
  readonly sessions: Pick<SessionBook, "certificates" | "end">
  readonly connections: Pick<ConnectionKeeper, "disconnect">
  readonly catalogue: Pick<CatalogueShape, "rejudge">
  readonly audit: RecordAudit
  readonly runFork: (effect: Effect.Effect<void>) => void
  /** A root is withdrawn, and what stands under it is about to be given up. */
  readonly onWithdrawn: () => void
  /** Who looks at certificates looks again. */
  readonly onChanged: () => void
}

export class RootsKeeper {
  readonly #options: RootsKeeperOptions
  /** Carried out so far. */
  #roots: Roots

  constructor(options: RootsKeeperOptions) {
    this.#options = options
    this.#roots = options.identity.current.roots
  }

  take(statements: ReadonlyArray<Uint8Array>): void {
    if (hearOfRoots(this.#options.identity, statements)) this.changed()
  }

  /** What the identity says of roots is another by now; harmless when it is not. */
  changed(): void {
    const { catalogue, dataDir, identity, runFork } = this.#options
    const [before, now] = [this.#roots, identity.current.roots]
    if (before === now) return
    this.#roots = now
    const news = this.#news(before, now)
    const isWithdrawn = before.inForce.some(({ id }) => !now.isInForce(id))
    if (isWithdrawn) {
      this.#options.onWithdrawn()
      this.#cut()
    }
    this.#options.onChanged()
    runFork(
      saveIdentity(dataDir, identity.current).pipe(
        Effect.catchAll(({ message }) =>
          Effect.logError(`what was heard of the roots of the mesh cannot be stored: ${message}`)
        ),
        Effect.zipRight(Effect.forEach(news, (line) => Effect.logWarning(line))),
        Effect.zipRight(isWithdrawn ? catalogue.rejudge([]) : Effect.void)
      )
    )
  }

  #cut(): void {
    const { admitted, connections, identity, sessions } = this.#options
    const { roots } = identity.current
    const met = [...sessions.certificates(), ...admitted.certificates()]
    for (const { name, peer, root } of met) {
      const withdrawn = roots.whyWithdrawn(root)
      if (withdrawn === undefined) continue
      // One that stays comes back with the next handshake, and has its new certificate then.
      const reason = `${name} stands under a root that counts no more: ${withdrawn}`
      sessions.end(peer, reason)
      connections.disconnect(peer, new Error(reason))
    }
  }

  #news(before: Roots, now: Roots): ReadonlyArray<string> {
    const { audit } = this.#options
    const lines: Array<string> = []
    for (const { by, id } of now.all) {
      if (before.get(id) === undefined && by !== undefined) {
        lines.push(
          `the root ${id} was added to the mesh by its root ${by}; certificates move under it as they are renewed`
        )
        audit({ event: "trust.root", about: id, code: "added", message: `added by root ${by}` })
      }
    }
    for (const { id } of before.inForce) {
      const why = now.whyWithdrawn(id)
      if (why !== undefined) {
        lines.push(`${why}; what stands under it alone counts for nothing any more`)
        audit({ event: "trust.root", about: id, code: "withdrawn", message: why })
      }
    }
    return lines
  }
}
