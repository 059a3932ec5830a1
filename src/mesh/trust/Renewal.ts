/**
 * New dates for an old certificate: same key, same name, same rights. Whoever holds `admit`
 * renews for others; holders renew for themselves too, since they could sign any certificate
 * anyway and a mesh of one node must outlive its first day.
 *
 * A node that was off for longer than its certificate lasted is renewed in place, without a new
 * invite, for `renewalGrace`. A host that must not come back is revoked, not waited out.
 */
import { Either } from "effect"
import { defaultSkew, type VerifiedCertificate, verifyChain } from "./Certificate.ts"
import { type CertificateError, describeInstant, describeSpan } from "./CertificateError.ts"
import { followDelegations } from "./DelegationPath.ts"
import { grantsCapability, uncovered } from "./Grant.ts"
import {
  certificateLifetime,
  decodeIssued,
  delegationLifetime,
  encodeIssued,
  type Issued,
  issueCertificate,
  issueDelegation
} from "./Issue.ts"
import { bringsNearer, isBetterPath, lateRight } from "./Nearness.ts"
import { type Authority, holdsRivalOf, makeIdentity, type NodeIdentity } from "./NodeIdentity.ts"
import { chainError } from "./SignedChain.ts"

/** How long after its end a certificate may still be renewed (30 days, in ms). */
export const renewalGrace = 30 * 86_400_000

/**
 * When to renew: at half life, ±10 % of the life so that nodes started together do not come
 * together. `random` is uniform in [0, 1). Wall clock, ms. It lies in the past for what is about
 * to end, so a caller waits some time of its own between two attempts.
 */
export const renewalDueAt = (
  certificate: Pick<VerifiedCertificate, "notBefore" | "notAfter">,
  random: number
): number => {
  const life = certificate.notAfter - certificate.notBefore
  return certificate.notBefore + life * (0.4 + 0.2 * random)
}

/**
 * Was it signed by a clock that was ahead, and has that clock been set right since? Others refuse it
 * until its time has come, so it is renewed at once, though the new one ends sooner.
 */
export const isFromTheFuture = (
  { notBefore }: Pick<VerifiedCertificate, "notBefore">,
  now: number
): boolean => notBefore > now + defaultSkew

const cannotAdmit = (identity: NodeIdentity) =>
  chainError(
    "exceeds_grant",
    `node ${identity.name} does not hold the capability admit and can renew no certificates; ask another member`
  )

/**
 * What to send to a peer whose (possibly expired) certificate was verified: bytes for
 * `acceptRenewal`. Its delegation is renewed along with it where the signer can.
 */
export const issueRenewal = (
  identity: NodeIdentity,
  peer: VerifiedCertificate,
  now: number
): Either.Either<Uint8Array, CertificateError> =>
  Either.gen(function* () {
    const authority = identity.authority
    if (authority === undefined) return yield* Either.left(cannotAdmit(identity))
    if (now > peer.notAfter + renewalGrace) {
      return yield* Either.left(
        chainError(
          "expired",
          `the certificate of ${peer.name} expired ${describeSpan(now - peer.notAfter)} ago; after ${describeSpan(renewalGrace)} a node joins again with an invite`
        )
      )
    }
    const chain = yield* issueCertificate(authority, { ...peer, grant: peer }, now)
    return encodeIssued({ chain, delegations: renewedDelegation(authority, peer, now) })
  })

/** Empty when it comes without one, for want of room or of depth: the old one then serves on. */
const renewedDelegation = (
  authority: Authority,
  peer: VerifiedCertificate,
  now: number
): ReadonlyArray<Uint8Array> =>
  grantsCapability(peer, "admit")
    ? Either.getOrElse(issueDelegation(authority, peer.peer, peer, now), () => [])
    : []

/** What to send to a member whose certificate is current, when that brings it nearer to the newest root. */
export const issueNearer = (
  identity: NodeIdentity,
  peer: VerifiedCertificate,
  now: number
): Uint8Array | undefined =>
  identity.authority !== undefined && bringsNearer(identity.authority, identity.roots, peer, now)
    ? Either.getOrUndefined(issueRenewal(identity, peer, now))
    : undefined

/**
 * Same key, same name, same rights: nobody can use a renewal to change these. Fewer are refused as
 * well: who holds less than this node could otherwise take from it what it offers, and nobody could
 * give that back without an invite.
 */
const readRenewal = (
  identity: NodeIdentity,
  bytes: Uint8Array,
  now: number
): Either.Either<Issued & { readonly renewed: VerifiedCertificate }, CertificateError> =>
  Either.gen(function* () {
    const issued = yield* decodeIssued(bytes)
    const renewed = yield* verifyChain(issued.chain, {
      roots: identity.roots,
      now,
      peer: identity.peer
    })
    const old = identity.certificate
    const isAlike = uncovered(old, renewed).length === 0 && uncovered(renewed, old).length === 0
    if (renewed.name !== old.name || !isAlike) {
      return yield* Either.left(
        chainError(
          "exceeds_grant",
          `the renewed certificate is for ${renewed.name} with other rights than this node's; it is not used`
        )
      )
    }
    return { ...issued, renewed }
  })

/** Does it stand under a root that is newer than that of what this node has, and no rival of its own? */
const isNewerRoot = (identity: NodeIdentity, other: VerifiedCertificate): boolean =>
  identity.roots.isNewer(other.root, identity.certificate.root) &&
  !holdsRivalOf(identity, other.root)

/** Does it not lead back to a root that this node has left? */
const isAhead = (identity: NodeIdentity, other: VerifiedCertificate): boolean =>
  other.root === identity.certificate.root || isNewerRoot(identity, other)

/** The identity with what `issueRenewal` made for it. It must last longer than what it replaces. */
export const acceptRenewal = (
  identity: NodeIdentity,
  bytes: Uint8Array,
  now: number
): Either.Either<NodeIdentity, CertificateError> =>
  Either.gen(function* () {
    const { chain, delegations, renewed } = yield* readRenewal(identity, bytes, now)
    const old = identity.certificate
    if (!isAhead(identity, renewed) && old.notAfter - now > certificateLifetime / 4) {
      return yield* Either.left(
        chainError(
          "root_withdrawn",
          `the renewed certificate stands under the root ${renewed.root}, which is being replaced, and this node's does not any more`
        )
      )
    }
    if (
      renewed.notAfter <= old.notAfter &&
      !isFromTheFuture(old, now) &&
      !isNewerRoot(identity, renewed)
    ) {
      return yield* Either.left(
        chainError(
          "expired",
          `the renewed certificate ends at ${describeInstant(renewed.notAfter)}, no later than the one it replaces (${describeInstant(old.notAfter)})`
        )
      )
    }
    return yield* makeIdentity({
      ...identity,
      chain,
      delegations: yield* betterDelegation(identity, delegations, now)
    })
  })

/**
 * The identity with what `issueNearer` made for it; undefined when it is no nearer, or costs life
 * that matters. Each time the path is shorter or the root newer, so nobody can keep a node busy with this.
 */
const acceptNearer = (
  identity: NodeIdentity,
  bytes: Uint8Array,
  now: number
): Either.Either<NodeIdentity | undefined, CertificateError> =>
  Either.gen(function* () {
    const { chain, delegations, renewed } = yield* readRenewal(identity, bytes, now)
    const old = identity.certificate
    if (!isAhead(identity, renewed)) return undefined
    const isShortLived = renewed.notAfter - now < certificateLifetime / 2
    if (isShortLived && renewed.notAfter < old.notAfter) return undefined
    const better = yield* betterDelegation(identity, delegations, now)
    if (isNewerRoot(identity, renewed)) {
      return yield* makeIdentity({ ...identity, chain, delegations: better })
    }
    const isNearer = grantsCapability(old, "admit")
      ? better !== identity.delegations && identity.roots.lengthOf(better) < pathLength(identity)
      : renewed.issuers.length < old.issuers.length
    if (!isNearer) return undefined
    return yield* makeIdentity({ ...identity, chain, delegations })
  })

/**
 * What a peer has signed for us at a handshake: needed when our certificate is over or its root
 * withdrawn, else taken when it is nearer, or under a newer root. Undefined: what we have is good, and what was sent is no better.
 */
export const acceptIssued = (
  identity: NodeIdentity,
  bytes: Uint8Array,
  now: number
): Either.Either<NodeIdentity | undefined, CertificateError> =>
  identity.certificate.notAfter <= now || !identity.roots.isInForce(identity.certificate.root)
    ? acceptRenewal(identity, bytes, now)
    : Either.orElse(acceptNearer(identity, bytes, now), () => Either.right(undefined))

/** Who may admit and holds no delegation, since there was no room for one, is glad of any. */
const pathLength = ({ delegations, roots }: NodeIdentity): number =>
  delegations.length === 0 ? Number.POSITIVE_INFINITY : roots.lengthOf(delegations)

/**
 * The new delegation when its path is shorter and it lasts, or when it lasts longer and either is no
 * further from the root or comes while the old one is late: depth is not spent early.
 */
const betterDelegation = (
  identity: NodeIdentity,
  offered: ReadonlyArray<Uint8Array>,
  now: number
): Either.Either<ReadonlyArray<Uint8Array>, CertificateError> =>
  Either.gen(function* () {
    const held = identity.delegations
    if (offered.length === 0) return held
    const { roots } = identity
    const fresh = yield* followDelegations(roots, offered)
    // It has to reach as far as the certificate, or this node could no longer renew itself by it.
    if (uncovered(fresh.grant, identity.certificate).length > 0) return held
    if (held.length === 0) return offered
    const old = yield* followDelegations(roots, held)
    if (fresh.root !== old.root) {
      const isNewer = roots.isNewer(fresh.root, old.root) && !holdsRivalOf(identity, fresh.root)
      return isNewer ? offered : held
    }
    const [length, before] = [fresh.issuers.length, old.issuers.length]
    const isShorter = isBetterPath(
      { length, notAfter: fresh.notAfter },
      { length: before, notAfter: old.notAfter },
      now
    )
    const isLonger = fresh.notAfter > old.notAfter
    const isUrgent = old.notAfter - now <= lateRight
    const isBetter = isShorter || (isLonger && (isUrgent || length === before))
    return isBetter ? offered : held
  })

/**
 * A new certificate by one's own hand, for holders of the root key or of a delegation. With the
 * root key at hand the delegation is renewed too, so that the key can go offline at any time.
 */
export const renewSelf = (
  identity: NodeIdentity,
  now: number
): Either.Either<NodeIdentity, CertificateError> =>
  Either.gen(function* () {
    const authority = identity.authority
    if (authority === undefined) return yield* Either.left(cannotAdmit(identity))
    const { certificate } = identity
    const chain = yield* issueCertificate(authority, { ...certificate, grant: certificate }, now)
    const delegations =
      // Not by the key of a root that this node has left: its right is a delegation under the newer one.
      authority.depth === 0 && grantsCapability(certificate, "admit")
        ? yield* issueDelegation(authority, identity.peer, certificate, now)
        : identity.delegations
    return yield* makeIdentity({ ...identity, chain, delegations })
  })

/** A right to sign that ends this much sooner than a new one is worth renewing at a start (ms). */
const rootKeyInterval = 86_400_000

/** Would the root key at hand bring this node's own right to sign nearer, or make it last longer? */
export const isRootKeyOfUse = (identity: NodeIdentity, now: number): boolean => {
  const { authority, certificate } = identity
  if (authority?.depth !== 0 || !grantsCapability(certificate, "admit")) return false
  if (pathLength(identity) !== 1) return true
  const held = followDelegations(identity.roots, identity.delegations)
  if (Either.isLeft(held) || held.right.root !== authority.root) return true
  return held.right.notAfter < now + delegationLifetime - rootKeyInterval
}

/**
 * Was it away for so long that no member renews it in place, nor it itself? Then its right to be
 * here has to be given anew: the grace is over, or the right of who signed for it last.
 */
export const isBeyondRenewal = ({ authority, certificate }: NodeIdentity, now: number): boolean => {
  const { notAfter, signerNotAfter } = certificate
  const canSign = authority !== undefined && authority.notAfter > now
  return !canSign && notAfter <= now && (notAfter + renewalGrace < now || signerNotAfter <= now)
}
