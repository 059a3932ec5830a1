/**
 * A certificate binds a peer's key to a node name and a grant, for a day. Verifying is pure: time
 * comes in as `now`. Signature checks are remembered by the hash of the bytes, since every record
 * and every reconnect carries the same chain again.
 */
import { createHash } from "node:crypto"
import { Either, Schema } from "effect"
import type { MeshId } from "../../model/Names.ts"
import { NodeName, PeerKey } from "../../schema/NamesSchema.ts"
import type { RootId } from "../../schema/TrustSchema.ts"
import { BoundedCache } from "./BoundedCache.ts"
import { type CertificateError, describeInstant, describeSpan } from "./CertificateError.ts"
import { type PathCache, underRoots } from "./DelegationPath.ts"
import { type Grant, grantOf } from "./Grant.ts"
import type { Roots } from "./Roots.ts"
import {
  chainError,
  decodeChain,
  openStatement,
  statementFields,
  type Window
} from "./SignedChain.ts"

/** How far the clocks of two nodes may be apart before it matters (ms). */
export const defaultSkew = 120_000

/**
 * The longest a certificate may be valid (7 days, in ms), whoever signed it: that stolen keys
 * lose their worth soon is then a property of the mesh, not of every issuer's good will.
 */
export const maxCertificateLifetime = 7 * 86_400_000

export const CertificateStatement = Schema.Struct({
  ...statementFields,
  peer: PeerKey,
  name: NodeName
})

/** A certificate whose chain was followed to the root. */
export interface VerifiedCertificate extends Grant, Window {
  readonly peer: PeerKey
  readonly name: NodeName
  readonly mesh: MeshId
  /** Which of the mesh's roots it stands under. */
  readonly root: RootId
  /** Start and end over the whole chain (ms, wall clock): the narrowest of all its statements. */
  readonly notBefore: number
  readonly notAfter: number
  /** Peers whose word this rests on, root first; empty when the root signed it. */
  readonly issuers: ReadonlyArray<PeerKey>
  /** Until when its signer may sign (ms, wall clock); infinite for the root. */
  readonly signerNotAfter: number
  /** Names exactly this chain, in logs and revocations: 32 hex digits of a SHA-256 over it. */
  readonly fingerprint: string
}

interface CheckedChain {
  readonly certificate: VerifiedCertificate
  /** Start and end of the delegations alone. */
  readonly path: Window
}

/**
 * Remembers chains and paths whose signatures were good (never bad ones: those are free to make). A
 * renewed certificate under a known path costs one signature.
 */
export class ChainCache {
  readonly checked: BoundedCache<CheckedChain>
  readonly paths: PathCache

  /** Default: every member of a large mesh, at about 1 KiB each, and as many paths. */
  constructor(limit = 4_096) {
    this.checked = new BoundedCache(limit)
    this.paths = new BoundedCache(limit)
  }
}

const checkSignatures = (
  bytes: Uint8Array,
  roots: Roots,
  fingerprint: string,
  cache: ChainCache | undefined
): Either.Either<CheckedChain, CertificateError> =>
  Either.gen(function* () {
    const { mesh } = roots
    const chain = yield* decodeChain(bytes, mesh, "the certificate chain")
    const [path, leaf] = yield* underRoots(
      roots,
      chain.delegations,
      (under) =>
        Either.map(
          openStatement(CertificateStatement, "certificate", mesh, under, chain.leaf),
          (said) => [under, said] as const
        ),
      cache?.paths
    )
    if (leaf.notAfter - leaf.notBefore > maxCertificateLifetime) {
      return yield* Either.left(
        chainError(
          "exceeds_grant",
          `the certificate of ${leaf.name} is valid for ${describeSpan(leaf.notAfter - leaf.notBefore)}; ${describeSpan(maxCertificateLifetime)} is the limit`
        )
      )
    }
    return {
      certificate: {
        peer: leaf.peer,
        name: leaf.name,
        mesh,
        root: path.root,
        ...grantOf(leaf),
        notBefore: Math.max(path.notBefore, leaf.notBefore),
        notAfter: Math.min(path.notAfter, leaf.notAfter),
        issuers: path.issuers,
        signerNotAfter: path.notAfter,
        fingerprint
      },
      path
    }
  })

/** Is `now` within the window, give or take the skew, or no more than `grace` ms after it? */
export const judgeTime = (
  what: string,
  window: Window,
  now: number,
  skew: number,
  grace = 0
): Either.Either<void, CertificateError> => {
  if (now + skew < window.notBefore) {
    return Either.left(
      chainError(
        "not_yet_valid",
        `${what} is valid from ${describeInstant(window.notBefore)}, ${describeSpan(window.notBefore - now)} ahead of this node's clock (${describeInstant(now)}): one of the two clocks is wrong, check time synchronisation on both hosts`
      )
    )
  }
  if (now - skew - grace >= window.notAfter) {
    return Either.left(
      chainError(
        "expired",
        `${what} expired at ${describeInstant(window.notAfter)}, ${describeSpan(now - window.notAfter)} ago by this node's clock (${describeInstant(now)}); if that is not so, check time synchronisation on both hosts`
      )
    )
  }
  return Either.void
}

export interface VerifyOptions {
  readonly roots: Roots
  /**
   * Believes what stands under a withdrawn root too (default: no): for signing anew for members that come
   * over, and for settings that hold on. The caller judges whether it is one of those.
   */
  readonly evenWithdrawn?: boolean | undefined
  /** Wall clock, ms. */
  readonly now: number
  /** Default `defaultSkew`. */
  readonly skew?: number | undefined
  /** The peer that must be its subject. */
  readonly peer?: PeerKey | undefined
  /**
   * Milliseconds for which an expired certificate is still believed (default 0): for renewing it
   * in place and for reading what its owner signed in its time. Its delegations must be current.
   */
  readonly expiredGrace?: number | undefined
  readonly cache?: ChainCache | undefined
}

export const verifyChain = (
  bytes: Uint8Array,
  options: VerifyOptions
): Either.Either<VerifiedCertificate, CertificateError> =>
  Either.gen(function* () {
    const { roots } = options
    // Under further roots the same chain may begin at another one.
    const hash = createHash("sha256").update(roots.keys).update(bytes).digest("hex")
    let checked = options.cache?.checked.get(hash)
    if (checked === undefined) {
      const fingerprint = createHash("sha256").update(roots.founder).update(bytes).digest("hex")
      checked = yield* checkSignatures(bytes, roots, fingerprint.slice(0, 32), options.cache)
      options.cache?.checked.set(hash, checked)
    }
    const { certificate, path } = checked
    if (options.peer !== undefined && certificate.peer !== options.peer) {
      return yield* Either.left(
        chainError(
          "wrong_peer",
          `the certificate is that of peer ${certificate.peer} (${certificate.name}), but it was shown by peer ${options.peer}`
        )
      )
    }
    const withdrawn =
      options.evenWithdrawn === true ? undefined : roots.whyWithdrawn(certificate.root)
    if (withdrawn !== undefined) {
      const message = `the certificate of ${certificate.name} counts for nothing: ${withdrawn}`
      return yield* Either.left(chainError("root_withdrawn", message))
    }
    const skew = options.skew ?? defaultSkew
    yield* judgeTime(
      `a delegation above the certificate of ${certificate.name}`,
      path,
      options.now,
      skew
    )
    const what = `the certificate of ${certificate.name}`
    yield* judgeTime(what, certificate, options.now, skew, options.expiredGrace)
    return certificate
  })
