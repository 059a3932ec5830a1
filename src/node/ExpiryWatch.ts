/**
 * Closes the connections with peers whose certificate has ended and was not renewed. One that is
 * broken may be made again: then the handshake decides, and renews.
 */
import { Effect, type Scope } from "effect"
import type { ConnectionKeeper } from "../mesh/host/ConnectionKeeper.ts"
import type { AdmittedPeers } from "../mesh/trust/AdmittedPeers.ts"
import { defaultSkew } from "../mesh/trust/Certificate.ts"
import type { SessionBook } from "../mesh/trust/SessionBook.ts"

export interface ExpiryWatchOptions {
  readonly admitted: AdmittedPeers
  readonly sessions: SessionBook
  readonly keeper: Pick<ConnectionKeeper, "disconnect">
  /** Wall clock, ms. */
  readonly wall: () => number
}

const lookEvery = "30 seconds"

/** Until the scope closes. */
export const watchExpiry = ({
  admitted,
  keeper,
  sessions,
  wall
}: ExpiryWatchOptions): Effect.Effect<void, never, Scope.Scope> =>
  Effect.suspend(() => {
    const over = new Map(
      [...admitted.expired(wall() - defaultSkew), ...sessions.endExpired()].map(
        ({ name, peer }) => [peer, name]
      )
    )
    return Effect.forEach(over, ([peer, name]) => {
      const reason = `the certificate of ${name} has ended and was not renewed`
      keeper.disconnect(peer, new Error(reason))
      return Effect.logWarning(`${reason}; its connections are closed`)
    })
  }).pipe(
    Effect.delay(lookEvery),
    Effect.catchAllDefect((defect) => Effect.logError("the check for expiry failed", defect)),
    Effect.forever,
    Effect.forkScoped,
    Effect.asVoid
  )
