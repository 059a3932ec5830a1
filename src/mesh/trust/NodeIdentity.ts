/**
 * Everything a node knows of itself: its key, its certificate, and, when it may admit others, the
 * authority to sign. Immutable; renewal makes a new one, and the `IdentityCell` is where readers
 * find the current one.
 */
import { Either } from "effect"
import type { MeshId, NodeName, PeerKey } from "../../model/Names.ts"
import type { RootId } from "../../schema/TrustSchema.ts"
import { ChainCache, type VerifiedCertificate, verifyChain } from "./Certificate.ts"
import type { CertificateError } from "./CertificateError.ts"
import { followDelegations } from "./DelegationPath.ts"
import { type Holding, rootHolding } from "./Grant.ts"
import { rootIdOf } from "./Root.ts"
import type { Roots } from "./Roots.ts"
import { chainError, maxDepth } from "./SignedChain.ts"
import { peerKeyOf, type SigningKey } from "./SigningKey.ts"

/** The right to sign certificates and delegations: the root's own, or delegated. */
export interface Authority {
  readonly mesh: MeshId
  /** What it stands under, or is. */
  readonly root: RootId
  /** The root key, or the node's own. */
  readonly key: SigningKey
  /**
   * Path from the oldest root in force to `key`, the cross-certificates of a rotation included; empty for
   * the one root there is.
   */
  readonly delegations: ReadonlyArray<Uint8Array>
  /** Delegations from its own root; 0: the root's. */
  readonly depth: number
  /** What may be handed on. */
  readonly grant: Holding
  /** Wall clock, ms; infinite for the root. */
  readonly notAfter: number
}

export interface NodeIdentity {
  readonly peer: PeerKey
  readonly privateKey: SigningKey
  readonly name: NodeName
  readonly mesh: MeshId
  readonly meshName: string
  readonly roots: Roots
  /** The encoded certificate chain, as shown to others. */
  readonly chain: Uint8Array
  /** The same, decoded. May have expired: whoever relies on it looks at `notAfter`. */
  readonly certificate: VerifiedCertificate
  /** The path to this node's own delegation, root first; empty when it may not admit. */
  readonly delegations: ReadonlyArray<Uint8Array>
  /** Present while the key of a root in force is on this host: of the newest of those. */
  readonly rootKey: SigningKey | undefined
  /**
   * The strongest right to sign that it has: under the newest root, and that root's own before a delegated
   * one. None under a withdrawn root.
   */
  readonly authority: Authority | undefined
}

/** The one place where a node's identity changes. Set by whoever renews; read everywhere else. */
export interface IdentityCell {
  current: NodeIdentity
}

export interface IdentityParts {
  readonly privateKey: SigningKey
  readonly roots: Roots
  readonly meshName: string
  readonly chain: Uint8Array
  readonly delegations: ReadonlyArray<Uint8Array>
  readonly rootKey?: SigningKey | undefined
}

/**
 * Puts an identity together and proves that its parts belong together: signatures up to a root,
 * and both certificate and delegation made out to this very key. Time is not judged here, nor whether the
 * root was withdrawn, because a node that was away must be able to load its identity and have it renewed.
 */
export const makeIdentity = (parts: IdentityParts): Either.Either<NodeIdentity, CertificateError> =>
  Either.gen(function* () {
    const { privateKey, roots, meshName, chain, delegations } = parts
    const peer = peerKeyOf(privateKey.publicKey.raw)
    const { mesh } = roots
    // Certificate and delegation rest on much the same path.
    const cache = new ChainCache(2 * maxDepth)
    const certificate = yield* verifyChain(chain, {
      roots,
      evenWithdrawn: true,
      now: 0,
      skew: Number.POSITIVE_INFINITY,
      peer,
      cache
    })
    const rootKey = yield* usableRootKey(roots, parts.rootKey)
    let authority: Authority | undefined
    if (delegations.length > 0) {
      const path = yield* followDelegations(roots, delegations, cache.paths)
      if (path.issuers.at(-1) !== peer) {
        return yield* Either.left(
          chainError(
            "wrong_peer",
            `the delegation is that of peer ${path.issuers.at(-1)}, not of ${peer}`
          )
        )
      }
      const depth = path.issuers.length
      const { grant, notAfter, root } = path
      authority = {
        ...{ mesh, root, key: privateKey, grant, notAfter, depth },
        // Crosses of roots that were withdrawn since lead nowhere.
        delegations: [...roots.crossesTo(root), ...delegations.slice(delegations.length - depth)]
      }
      // Nobody believes what is signed under a withdrawn root.
      if (!roots.isInForce(root)) authority = undefined
    }
    const root = rootKey && rootIdOf(rootKey.publicKey.raw)
    // While roots are replaced the key may be that of the old one, and the right by delegation newer. By a
    // rival's it signs nothing.
    const isOld = root && authority && roots.restsOn(authority.root, root)
    if (rootKey !== undefined && root !== undefined && isOld !== true) {
      authority = {
        ...{ mesh, root, key: rootKey, delegations: roots.crossesTo(root), depth: 0 },
        grant: rootHolding,
        notAfter: Number.POSITIVE_INFINITY
      }
    }
    return {
      ...{ peer, privateKey, name: certificate.name, mesh, meshName, roots },
      ...{ chain, certificate, delegations, rootKey, authority }
    }
  })

/** The root in force whose key is on this node. */
export const heldRoot = ({ rootKey }: Pick<NodeIdentity, "rootKey">): RootId | undefined =>
  rootKey && rootIdOf(rootKey.publicKey.raw)

/**
 * Does it hold the key of a rival of this root? Then it does not move under it: nobody can tell which of the
 * two is rightful, but whoever has a key knows its own.
 */
export const holdsRivalOf = (
  identity: Pick<NodeIdentity, "rootKey" | "roots">,
  root: RootId
): boolean => {
  const held = heldRoot(identity)
  return held !== undefined && identity.roots.rivalsOf(held).some(({ id }) => id === root)
}

/**
 * Takes what was said of roots into a cell's identity. False: nothing of it is news. Whoever calls has it
 * saved and carried out.
 */
export const hearOfRoots = (cell: IdentityCell, statements: ReadonlyArray<Uint8Array>): boolean => {
  const roots = cell.current.roots.hear(statements)
  if (roots === cell.current.roots) return false
  // Its parts belong together under more roots as under fewer.
  cell.current = Either.getOrThrow(makeIdentity({ ...cell.current, roots }))
  return true
}

/** The key of a withdrawn root signs nothing any more; that of another mesh never did. */
const usableRootKey = (
  roots: Roots,
  key: SigningKey | undefined
): Either.Either<SigningKey | undefined, CertificateError> => {
  if (key === undefined) return Either.right(undefined)
  const id = rootIdOf(key.publicKey.raw)
  if (roots.get(id) !== undefined) return Either.right(roots.isInForce(id) ? key : undefined)
  const message = `the root key ${id} is none of mesh ${roots.mesh}, to which the certificate belongs`
  return Either.left(chainError("foreign_mesh", message))
}
