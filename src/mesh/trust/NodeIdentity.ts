/**
 * Everything a node knows of itself: its key, its certificate, and, when it may admit others, the
 * authority to sign. Immutable; renewal makes a new one, and the `IdentityCell` is where readers
 * find the current one.
 */
import { Either } from "effect"
import type { MeshId, NodeName, PeerKey } from "../../model/Names.ts"
import { ChainCache, type VerifiedCertificate, verifyChain } from "./Certificate.ts"
import type { CertificateError } from "./CertificateError.ts"
import { type Holding, rootHolding } from "./Grant.ts"
import { chainError, followDelegations, maxDepth } from "./SignedChain.ts"
import { meshIdOf, peerKeyOf, type SigningKey } from "./SigningKey.ts"

/** The right to sign certificates and delegations: the root's own, or delegated. */
export interface Authority {
  readonly mesh: MeshId
  /** The root key, or the node's own. */
  readonly key: SigningKey
  /** Path from the root to `key`; empty for the root. */
  readonly delegations: ReadonlyArray<Uint8Array>
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
  readonly rootPublicKey: Uint8Array
  /** The encoded certificate chain, as shown to others. */
  readonly chain: Uint8Array
  /** The same, decoded. May have expired: whoever relies on it looks at `notAfter`. */
  readonly certificate: VerifiedCertificate
  /** The path to this node's own delegation, root first; empty when it may not admit. */
  readonly delegations: ReadonlyArray<Uint8Array>
  /** Present while the root key is on this host. */
  readonly rootKey: SigningKey | undefined
  /** The strongest right to sign that it has: the root's before a delegated one. */
  readonly authority: Authority | undefined
}

/** The one place where a node's identity changes. Set by whoever renews; read everywhere else. */
export interface IdentityCell {
  current: NodeIdentity
}

export interface IdentityParts {
  readonly privateKey: SigningKey
  readonly rootPublicKey: Uint8Array
  readonly meshName: string
  readonly chain: Uint8Array
  readonly delegations: ReadonlyArray<Uint8Array>
  readonly rootKey?: SigningKey | undefined
}

/**
 * Puts an identity together and proves that its parts belong together: signatures up to the root,
 * and both certificate and delegation made out to this very key. Time is not judged here, because
 * a node that slept must be able to load its expired identity and have it renewed.
 */
export const makeIdentity = (parts: IdentityParts): Either.Either<NodeIdentity, CertificateError> =>
  Either.gen(function* () {
    const { privateKey, rootPublicKey, meshName, chain, delegations, rootKey } = parts
    const peer = peerKeyOf(privateKey.publicKey.raw)
    const mesh = meshIdOf(rootPublicKey)
    // Certificate and delegation rest on much the same path.
    const cache = new ChainCache(2 * maxDepth)
    const certificate = yield* verifyChain(chain, {
      root: rootPublicKey,
      now: 0,
      skew: Number.POSITIVE_INFINITY,
      peer,
      cache
    })
    if (rootKey !== undefined && meshIdOf(rootKey.publicKey.raw) !== mesh) {
      return yield* Either.left(
        chainError(
          "foreign_mesh",
          `the root key is that of mesh ${meshIdOf(rootKey.publicKey.raw)}, the certificate belongs to mesh ${mesh}`
        )
      )
    }
    let authority: Authority | undefined
    if (delegations.length > 0) {
      const path = yield* followDelegations(rootPublicKey, delegations, cache.paths)
      if (path.issuers.at(-1) !== peer) {
        return yield* Either.left(
          chainError(
            "wrong_peer",
            `the delegation is that of peer ${path.issuers.at(-1)}, not of ${peer}`
          )
        )
      }
      authority = { mesh, key: privateKey, delegations, grant: path.grant, notAfter: path.notAfter }
    }
    if (rootKey !== undefined) {
      authority = {
        mesh,
        key: rootKey,
        delegations: [],
        grant: rootHolding,
        notAfter: Number.POSITIVE_INFINITY
      }
    }
    return {
      peer,
      privateKey,
      name: certificate.name,
      mesh,
      meshName,
      rootPublicKey,
      chain,
      certificate,
      delegations,
      rootKey,
      authority
    }
  })
