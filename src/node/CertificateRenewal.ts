/**
 * Keeps this node's certificate alive: at half its life (with jitter) it is signed anew, by this
 * node itself where it may, else by any connected member that may, the nearest to the root first.
 * The right to sign ends too, and only others renew that: in the second half of its life they are
 * asked first, and so are members nearer to the root by more than one step, since what they sign
 * brings this node nearer. A failed attempt is repeated every minute; the certificate's other half
 * is the time there is for that.
 */
import { Clock, Effect, Either, Queue, Random, type Scope } from "effect"
import { Supervisor } from "../mesh/actor/Supervisor.ts"
import type { MeshRpcError } from "../mesh/host/MeshRpc.ts"
import type { MeshRpcClient } from "../mesh/host/MeshRpcClients.ts"
import { saveIdentity } from "../mesh/keys/DataDir.ts"
import { describeSpan } from "../mesh/trust/CertificateError.ts"
import { renewalOrder, type Signers } from "../mesh/trust/Nearness.ts"
import type { IdentityCell, NodeIdentity } from "../mesh/trust/NodeIdentity.ts"
import { acceptRenewal, isFromTheFuture, renewalDueAt, renewSelf } from "../mesh/trust/Renewal.ts"
import type { PeerKey } from "../model/Names.ts"

export interface RenewalOptions {
  readonly dataDir: string
  readonly identity: IdentityCell
  /** The connected members, and what is known of them. */
  readonly signers: () => Signers
  readonly client: (peer: PeerKey) => Effect.Effect<MeshRpcClient, MeshRpcError>
  /** The identity changed: sign again what carries the certificate. */
  readonly onRenewed: Effect.Effect<void>
}

export interface CertificateRenewal {
  /** Wall clock, ms: when the next attempt is made. */
  readonly nextAt: () => number | undefined
  /** Why the last attempt failed; undefined after a success. */
  readonly problem: () => string | undefined
  /** The wall clock was set: what was planned by it is looked at again. */
  readonly clockSet: () => void
}

const retryEvery = 60_000
/** Reasons of peers that are told; in a large mesh they are all the same. */
const maxReasons = 3
/** Timers past this long overflow; a long sleep is taken in pieces. */
const longestSleep = 3_600_000

/** From so long before a right to admit ends this is logged with each renewal, ms. */
const warnedBefore = 30 * 86_400_000

/** Nobody can be let in any more, nor renewed, when all such rights have ended. */
const warnOfEnd = ({ authority }: NodeIdentity): Effect.Effect<void> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) =>
    authority === undefined || authority.notAfter - now > warnedBefore
      ? Effect.void
      : Effect.logWarning(
          `this node's right to admit and to renew others ends in ${describeSpan(authority.notAfter - now)}; put root.key into its data directory for one start, which renews it`
        )
  )

/** From now on this node shows this certificate, wherever it came from. */
export const adoptCertificate = (
  { dataDir, identity, onRenewed }: Pick<RenewalOptions, "dataDir" | "identity" | "onRenewed">,
  renewed: NodeIdentity
): Effect.Effect<void> =>
  Effect.suspend(() => {
    identity.current = renewed
    return saveIdentity(dataDir, renewed).pipe(
      Effect.catchAll(({ message }) =>
        Effect.logError(`the renewed certificate cannot be stored: ${message}`)
      ),
      Effect.zipRight(onRenewed)
    )
  })

/** What this peer signs for this node, if that is of use; fails with why it is not. */
export const certificateFrom = (
  { client, identity }: Pick<RenewalOptions, "client" | "identity">,
  peer: PeerKey
): Effect.Effect<NodeIdentity, string> =>
  client(peer).pipe(
    Effect.flatMap((asked) => asked.RenewCertificate({})),
    Effect.zip(Clock.currentTimeMillis),
    Effect.flatMap(([bytes, now]) => acceptRenewal(identity.current, bytes, now)),
    Effect.mapError(({ message }) => message)
  )

export const keepCertificate = (
  options: RenewalOptions
): Effect.Effect<CertificateRenewal, never, Scope.Scope | Supervisor> =>
  Effect.gen(function* () {
    const { identity } = options
    const supervisor = yield* Supervisor
    let nextAt: number | undefined
    let problem: { readonly identity: NodeIdentity; readonly message: string } | undefined

    const byOwnHand: Effect.Effect<NodeIdentity, string> = Effect.gen(function* () {
      const { current } = identity
      const now = yield* Clock.currentTimeMillis
      const renewed = renewSelf(current, now)
      if (Either.isLeft(renewed)) return yield* Effect.fail(renewed.left.message)
      const isLonger = renewed.right.certificate.notAfter > current.certificate.notAfter
      if (isLonger || isFromTheFuture(current.certificate, now)) return renewed.right
      return yield* Effect.fail(
        "this node's own right to sign ends no later than its certificate; bring the root key back to a node of the mesh once, and it renews it"
      )
    })

    const renewOnce: Effect.Effect<NodeIdentity, string> = Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      const reasons: Array<string> = []
      for (const who of renewalOrder(identity.current, options.signers(), now)) {
        const renewed = yield* Effect.either(
          who === "own hand" ? byOwnHand : certificateFrom(options, who)
        )
        if (Either.isRight(renewed)) return renewed.right
        reasons.push(renewed.left)
      }
      return yield* Effect.fail(
        reasons.length === 0
          ? "no other member is connected, and this node may not sign"
          : [...new Set(reasons)].slice(0, maxReasons).join("; ")
      )
    }).pipe(
      // A bug in the asking is one more reason why nothing came of it, for status to show.
      Effect.catchAllDefect((defect) => Effect.fail(`unexpected: ${String(defect)}`))
    )

    const woken = yield* Queue.sliding<void>(1)
    const sleepUntil = (at: number): Effect.Effect<void> =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        at <= now || isFromTheFuture(identity.current.certificate, now)
          ? Effect.void
          : Effect.zipRight(
              Effect.raceFirst(Effect.sleep(Math.min(at - now, longestSleep)), Queue.take(woken)),
              sleepUntil(at)
            )
      )

    const attempt = Effect.gen(function* () {
      const renewed = yield* Effect.either(renewOnce)
      if (Either.isLeft(renewed)) {
        problem = { identity: identity.current, message: renewed.left }
        nextAt = (yield* Clock.currentTimeMillis) + retryEvery
        yield* Effect.logWarning(`the certificate could not be renewed: ${renewed.left}`)
        return
      }
      problem = undefined
      yield* adoptCertificate(options, renewed.right)
      yield* Effect.logInfo("the certificate was renewed")
      yield* warnOfEnd(renewed.right)
    })

    /** One certificate, until it is replaced: here, or by a handshake meanwhile. */
    const loop = Effect.gen(function* () {
      const planned = identity.current
      nextAt = Math.ceil(renewalDueAt(planned.certificate, yield* Random.next))
      yield* sleepUntil(nextAt)
      while (identity.current === planned) {
        yield* attempt
        // Also after a success: the next may be due already, when rights are about to end.
        yield* Effect.sleep(retryEvery)
      }
    })
    // Nothing else keeps this node in the mesh, so a bug must not end it.
    yield* supervisor.supervise({
      name: "certificate",
      live: () => Effect.forever(loop),
      mailbox: () => ({ size: 0, dropped: 0 })
    })
    return {
      nextAt: () => nextAt,
      clockSet: () => void woken.unsafeOffer(undefined),
      // A handshake may have renewed it meanwhile.
      problem: () => (problem?.identity === identity.current ? problem.message : undefined)
    }
  })
