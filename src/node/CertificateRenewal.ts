/**
 * Keeps this node's certificate alive: at half its life (with jitter) it is signed anew, by this
 * node itself where it may, else by any connected member that may. A failed attempt is repeated
 * every minute; the certificate's other half is the time there is for that.
 */
import { Clock, Effect, Either, Random, type Scope } from "effect"
import { saveIdentity } from "../identity/DataDir.ts"
import type { IdentityCell, NodeIdentity } from "../identity/NodeIdentity.ts"
import { acceptRenewal, renewalDueAt, renewSelf } from "../identity/Renewal.ts"
import type { MeshRpcClient } from "../link/MeshRpcClients.ts"
import type { MeshRpcError } from "../model/MeshRpc.ts"
import type { PeerKey } from "../model/Names.ts"

export interface RenewalOptions {
  readonly dataDir: string
  readonly identity: IdentityCell
  readonly peers: () => ReadonlyArray<PeerKey>
  readonly client: (peer: PeerKey) => Effect.Effect<MeshRpcClient, MeshRpcError>
  /** The identity changed: sign again what carries the certificate. */
  readonly onRenewed: Effect.Effect<void>
}

export interface CertificateRenewal {
  /** Wall clock, ms: when the next attempt is made. */
  readonly nextAt: () => number | undefined
  /** Why the last attempt failed; undefined after a success. */
  readonly problem: () => string | undefined
}

const retryEvery = 60_000
/** Timers past this long overflow; a long sleep is taken in pieces. */
const longestSleep = 3_600_000

export const keepCertificate = (
  options: RenewalOptions
): Effect.Effect<CertificateRenewal, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { identity, dataDir } = options
    let nextAt: number | undefined
    let problem: string | undefined

    const fromPeers = Effect.gen(function* () {
      const reasons: Array<string> = []
      for (const peer of options.peers()) {
        const asked = yield* options.client(peer).pipe(
          Effect.flatMap((client) => client.RenewCertificate({})),
          Effect.either
        )
        if (Either.isLeft(asked)) {
          reasons.push(asked.left.message)
          continue
        }
        const renewed = acceptRenewal(identity.current, asked.right, yield* Clock.currentTimeMillis)
        if (Either.isRight(renewed)) return renewed.right
        reasons.push(renewed.left.message)
      }
      return yield* Effect.fail(
        reasons.length === 0
          ? "no other member is connected, and this node may not sign"
          : reasons.join("; ")
      )
    })

    const renewOnce: Effect.Effect<NodeIdentity, string> = Effect.suspend(() =>
      identity.current.authority === undefined
        ? fromPeers
        : Effect.flatMap(Clock.currentTimeMillis, (now) => renewSelf(identity.current, now)).pipe(
            Effect.mapError(({ message }) => message),
            Effect.orElse(() => fromPeers)
          )
    )

    const sleepUntil = (at: number): Effect.Effect<void> =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        at <= now
          ? Effect.void
          : Effect.zipRight(Effect.sleep(Math.min(at - now, longestSleep)), sleepUntil(at))
      )

    const loop = Effect.gen(function* () {
      const due = renewalDueAt(identity.current.certificate, yield* Random.next)
      nextAt = due
      yield* sleepUntil(due)
      const renewed = yield* Effect.either(renewOnce)
      if (Either.isRight(renewed)) {
        problem = undefined
        identity.current = renewed.right
        yield* saveIdentity(dataDir, renewed.right).pipe(
          Effect.catchAll(({ message }) =>
            Effect.logError(`the renewed certificate cannot be stored: ${message}`)
          )
        )
        yield* options.onRenewed
        yield* Effect.logInfo("the certificate was renewed")
        return
      }
      problem = renewed.left
      nextAt = (yield* Clock.currentTimeMillis) + retryEvery
      yield* Effect.logWarning(`the certificate could not be renewed: ${renewed.left}`)
      yield* Effect.sleep(retryEvery)
    })
    yield* Effect.forkScoped(Effect.forever(loop))
    return { nextAt: () => nextAt, problem: () => problem }
  })
