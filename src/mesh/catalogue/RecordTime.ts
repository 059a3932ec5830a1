/** What signatures cannot say of a record: that it is neither ahead of the clock nor over. */
import { Either } from "effect"
import type { VerifiedCertificate } from "../trust/Certificate.ts"
import type { CatalogueEntry } from "./RecordEntry.ts"
import { type RecordRefused, refuse } from "./RecordRefused.ts"

/**
 * How far ahead of our clock a record may claim to be, in milliseconds. A record from the far
 * future could not be beaten by its owner's later ones, and would never expire.
 */
export const maxAhead = 10 * 60_000

/**
 * Is a record of its time? `skew`: how far it may be ahead of the wall clock `now`, ms. `what` names it in the
 * refusal.
 */
export const inTime = (
  what: string,
  entry: CatalogueEntry,
  certificate: VerifiedCertificate,
  now: number,
  skew: number
): Either.Either<void, RecordRefused> => {
  const { epoch, signedAt, expiresAt } = entry
  const ahead = Math.max(epoch, signedAt) - now
  if (ahead > skew) {
    const minutes = Math.round(ahead / 60_000)
    return refuse(
      "from_the_future",
      `${what} is ${minutes} min ahead of this node's clock; check time synchronisation on both hosts`
    )
  }
  if (signedAt > certificate.notAfter + maxAhead) {
    return refuse("forged", `${what} was signed after its certificate had ended`)
  }
  return expiresAt <= now
    ? refuse("too_old", `${what} was signed ${Math.round((now - signedAt) / 3_600_000)} h ago`)
    : Either.void
}
