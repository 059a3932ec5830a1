/**
 * Identities made on one machine, without a network: the first node of a mesh, and further nodes
 * whose keys are at hand (embedded meshes, tests, the simulator). Hosts join with an invite.
 */
import { Either } from "effect"
import type { NodeName } from "../../model/Names.ts"
import type { CertificateError } from "./CertificateError.ts"
import { everything, type Grant, rootHolding } from "./Grant.ts"
import { issue } from "./Issue.ts"
import { makeIdentity, type NodeIdentity } from "./NodeIdentity.ts"
import { Roots } from "./Roots.ts"
import { chainError } from "./SignedChain.ts"
import { peerKeyOf, type SigningKey } from "./SigningKey.ts"

export interface FoundOptions {
  readonly rootKey: SigningKey
  readonly privateKey: SigningKey
  readonly meshName: string
  readonly nodeName: NodeName
  /** Wall clock, ms. */
  readonly now: number
}

/** The first node of a mesh. It holds every right, and the root key. */
export const foundMesh = (options: FoundOptions): Either.Either<NodeIdentity, CertificateError> => {
  const { rootKey, privateKey, meshName, nodeName, now } = options
  const roots = Roots.founded(rootKey.publicKey.raw)
  const root = {
    mesh: roots.mesh,
    root: roots.newest.id,
    key: rootKey,
    delegations: [],
    depth: 0,
    grant: rootHolding,
    notAfter: Number.POSITIVE_INFINITY
  }
  const subject = { peer: peerKeyOf(privateKey.publicKey.raw), name: nodeName, grant: everything }
  return Either.flatMap(issue(root, subject, now), (issued) =>
    makeIdentity({ privateKey, roots, meshName, rootKey, ...issued })
  )
}

export interface EnrolOptions {
  readonly privateKey: SigningKey
  readonly name: NodeName
  readonly grant: Grant
  /** Wall clock, ms. */
  readonly now: number
}

/** A further member, admitted by one that may. */
export const enrol = (
  by: NodeIdentity,
  options: EnrolOptions
): Either.Either<NodeIdentity, CertificateError> => {
  const { privateKey, name, grant, now } = options
  if (by.authority === undefined) {
    return Either.left(
      chainError("exceeds_grant", `node ${by.name} does not hold the capability admit`)
    )
  }
  const subject = { peer: peerKeyOf(privateKey.publicKey.raw), name, grant }
  return Either.flatMap(issue(by.authority, subject, now), (issued) =>
    makeIdentity({
      privateKey,
      roots: by.roots,
      meshName: by.meshName,
      ...issued
    })
  )
}
