/**
 * Follows delegations from a root of the mesh to who signs by them. A path says nothing of where it
 * begins: with several roots each that is in force is tried, the newest first; a path that begins with the
 * cross-certificates of a known root begins there, and costs no signature more.
 */
import { createHash } from "node:crypto"
import { Either } from "effect"
import type { MeshId } from "../../model/Names.ts"
import type { BoundedCache } from "./BoundedCache.ts"
import type { CertificateError } from "./CertificateError.ts"
import { grantOf, grantsCapability } from "./Grant.ts"
import { authorizedBy } from "./Root.ts"
import type { Roots } from "./Roots.ts"
import { type Authorized, chainError, Delegation, maxDepth, openStatement } from "./SignedChain.ts"
import { publicKeyOf } from "./SigningKey.ts"

/** Paths whose signatures were good, by hash: members' chains begin alike, and are shown often. */
export type PathCache = BoundedCache<Authorized>

const onPath = (before: Uint8Array, next: Uint8Array): Buffer =>
  createHash("sha256").update(before).update(next).digest()

/** One name for each beginning of the path: of all that was signed up to there, and the root. */
const namePaths = (
  root: Uint8Array,
  delegations: ReadonlyArray<Uint8Array>
): ReadonlyArray<string> => {
  let name = onPath(Buffer.from("path\n"), root)
  return delegations.map((bytes) => {
    name = onPath(name, bytes)
    return name.toString("base64")
  })
}

/** Follows delegations from one root. Signatures and rights only. */
const follow = (
  mesh: MeshId,
  from: Authorized,
  delegations: ReadonlyArray<Uint8Array>,
  cache: PathCache | undefined
): Either.Either<Authorized, CertificateError> =>
  Either.gen(function* () {
    const names = cache === undefined ? [] : namePaths(from.signer, delegations)
    let under = from
    let known = names.length
    while (known > 0) {
      const remembered = cache?.get(names[known - 1]!)
      if (remembered !== undefined) {
        under = remembered
        break
      }
      known--
    }
    for (const [index, bytes] of delegations.entries()) {
      if (index < known) continue
      under = yield* followDelegation(mesh, under, bytes)
      cache?.set(names[index]!, under)
    }
    return under
  })

/**
 * Reads what stands under the delegations, with the root that they begin at. Signatures and rights only:
 * time, and whether that root still counts, are judged by the caller, who asks `roots` for it.
 */
export const underRoots = <A>(
  roots: Roots,
  delegations: ReadonlyArray<Uint8Array>,
  read: (under: Authorized) => Either.Either<A, CertificateError>,
  cache?: PathCache
): Either.Either<A, CertificateError> => {
  if (delegations.length > maxDepth) {
    return Either.left(
      chainError(
        "too_deep",
        `${delegations.length} delegations lie between the root and the signer; ${maxDepth} is the limit`
      )
    )
  }
  let refused: Either.Either<A, CertificateError> | undefined
  for (const { root, skip } of roots.anchorsOf(delegations)) {
    const found = Either.flatMap(
      follow(roots.mesh, authorizedBy(root), delegations.slice(skip), cache),
      read
    )
    // Only a signature says that it was another root that began it.
    if (Either.isRight(found) || found.left.code !== "bad_signature") return found
    refused ??= found
  }
  return refused ?? Either.left(chainError("bad_signature", "this mesh has no root"))
}

/** Who may sign by these delegations, and what. */
export const followDelegations = (
  roots: Roots,
  delegations: ReadonlyArray<Uint8Array>,
  cache?: PathCache
): Either.Either<Authorized, CertificateError> =>
  underRoots(roots, delegations, Either.right, cache)

/** One step of the path: who may sign after it, and what. */
const followDelegation = (
  mesh: MeshId,
  under: Authorized,
  bytes: Uint8Array
): Either.Either<Authorized, CertificateError> =>
  Either.gen(function* () {
    const delegation = yield* openStatement(Delegation, "delegation", mesh, under, bytes)
    const signer = publicKeyOf(delegation.peer)
    if (signer === undefined) {
      return yield* Either.left(
        chainError("malformed", `the delegation's peer ${delegation.peer} has no usable key`)
      )
    }
    if (!grantsCapability(delegation, "admit")) {
      return yield* Either.left(
        chainError(
          "exceeds_grant",
          `peer ${delegation.peer} signs for others without the capability admit`
        )
      )
    }
    return {
      signer,
      root: under.root,
      grant: grantOf(delegation),
      issuers: [...under.issuers, delegation.peer],
      notBefore: Math.max(under.notBefore, delegation.notBefore),
      notAfter: Math.min(under.notAfter, delegation.notAfter)
    }
  })
