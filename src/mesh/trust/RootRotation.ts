/**
 * A root takes another one's place by overlap: the new one is added, everybody's certificate moves under it,
 * the old one is withdrawn. Pure: what is to be said, and the identity of the node that says it.
 */
import { Either } from "effect"
import type { CertificateError } from "./CertificateError.ts"
import { backdate, delegationLifetime } from "./Issue.ts"
import { heldRoot, holdsRivalOf, makeIdentity, type NodeIdentity } from "./NodeIdentity.ts"
import { renewSelf } from "./Renewal.ts"
import { addRoot, rootLimits, type WithdrawnRoots, withdrawOthers } from "./RootStatement.ts"
import { maxInForce } from "./Roots.ts"
import { chainError } from "./SignedChain.ts"
import type { SigningKey } from "./SigningKey.ts"

export interface Rotated {
  readonly statement: Uint8Array
  /** Under the new root, whose key it holds. */
  readonly identity: NodeIdentity
}

const noKey = (name: string, which: string) =>
  chainError(
    "exceeds_grant",
    `node ${name} does not hold the key of ${which}: bring it there (\`skein root import\`) and start the node`
  )

/** Does this node hold the key of the newest root, under which everybody moves? */
export const holdsNewestRoot = (identity: NodeIdentity): boolean =>
  heldRoot(identity) === identity.roots.newest.id

/** May it withdraw others? By the newest root, or by one that the newest does not rest on. */
export const mayFinish = (identity: NodeIdentity): boolean =>
  holdsNewestRoot(identity) || holdsRivalOf(identity, identity.roots.newest.id)

/**
 * Adds a root, by the key of any that is in force: that of the newest may have been lost. Wall clock `now`, ms.
 */
export const rotateRoot = (
  identity: NodeIdentity,
  key: SigningKey,
  now: number
): Either.Either<Rotated, CertificateError> =>
  Either.gen(function* () {
    const { rootKey, roots } = identity
    if (rootKey === undefined) return yield* Either.left(noKey(identity.name, "a root in force"))
    if (roots.inForce.length >= maxInForce) {
      return yield* Either.left(
        chainError(
          "too_deep",
          `${maxInForce} roots are in force, which is the limit: finish the rotation that is under way first (\`skein root finish\`)`
        )
      )
    }
    const statement = addRoot(rootKey, roots.mesh, key.publicKey.raw, Math.floor(now), {
      notBefore: Math.max(0, Math.floor(now) - backdate),
      notAfter: Math.floor(now) + delegationLifetime
    })
    const next = yield* roots.take(statement)
    const moved = yield* makeIdentity({ ...identity, roots: next, rootKey: key })
    return { statement, identity: yield* renewSelf(moved, now) }
  })

/** Withdraws every root but the one whose key is here, and those which that has added. */
export const finishRotation = (
  identity: NodeIdentity,
  over: Pick<WithdrawnRoots, "kept" | "stay">,
  now: number
): Either.Either<Rotated, CertificateError> =>
  Either.gen(function* () {
    const { rootKey, roots } = identity
    if (rootKey === undefined || !mayFinish(identity)) {
      return yield* Either.left(noKey(identity.name, "the newest root"))
    }
    if (!roots.isRotating) {
      return yield* Either.left(
        chainError("malformed", "one root is in force, so there is none to withdraw")
      )
    }
    if (over.stay.length > rootLimits.stay || over.kept.length > rootLimits.kept) {
      return yield* Either.left(
        chainError(
          "too_large",
          `${over.stay.length} members and ${over.kept.length} settings still stand under the old root; a withdrawal takes over ${rootLimits.stay} and ${rootLimits.kept}: wait until more have moved, and set anew what is to hold on`
        )
      )
    }
    const statement = withdrawOthers(rootKey, roots.mesh, { ...over, at: Math.floor(now) })
    const next = yield* roots.take(statement)
    const kept = yield* makeIdentity({ ...identity, roots: next })
    // It may have stood under the rival that is withdrawn.
    const isLeft = !next.isInForce(kept.certificate.root)
    return { statement, identity: isLeft ? yield* renewSelf(kept, now) : kept }
  })
