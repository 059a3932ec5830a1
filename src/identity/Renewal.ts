/**
 * New dates for an old certificate: same key, same name, same rights. Whoever holds `admit`
 * renews for others; holders renew for themselves too, since they could sign any certificate
 * anyway and a mesh of one node must outlive its first day.
 *
 * A node that was off for longer than its certificate lasted is renewed in place, without a new
 * invite, for `renewalGrace`. A host that must not come back is revoked, not waited out.
 */
import { Either } from "effect"
import { type VerifiedCertificate, verifyChain } from "./Certificate.ts"
import { type CertificateError, describeInstant, describeSpan } from "./CertificateError.ts"
import { grantsCapability, uncovered } from "./Grant.ts"
import {
  decodeIssued,
  delegationLifetime,
  encodeIssued,
  issueCertificate,
  issueDelegation
} from "./Issue.ts"
import { type Authority, makeIdentity, type NodeIdentity } from "./NodeIdentity.ts"
import { chainError, followDelegations } from "./SignedChain.ts"

/** How long after its end a certificate may still be renewed (30 days, in ms). */
export const renewalGrace = 30 * 86_400_000

/** Replaces a delegation with this much left or less, even by one further from the root (ms). */
const delegationRenewalWindow = delegationLifetime / 2

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

/** The identity with what `issueRenewal` made for it. Nobody can use this to change its rights. */
export const acceptRenewal = (
  identity: NodeIdentity,
  bytes: Uint8Array,
  now: number
): Either.Either<NodeIdentity, CertificateError> =>
  Either.gen(function* () {
    const issued = yield* decodeIssued(bytes)
    const renewed = yield* verifyChain(issued.chain, {
      root: identity.rootPublicKey,
      now,
      peer: identity.peer
    })
    const old = identity.certificate
    if (renewed.name !== old.name || uncovered(old, renewed).length > 0) {
      return yield* Either.left(
        chainError(
          "exceeds_grant",
          `the renewed certificate is for ${renewed.name} with other rights than this node's; it is not used`
        )
      )
    }
    if (renewed.notAfter <= old.notAfter) {
      return yield* Either.left(
        chainError(
          "expired",
          `the renewed certificate ends at ${describeInstant(renewed.notAfter)}, no later than the one it replaces (${describeInstant(old.notAfter)})`
        )
      )
    }
    return yield* makeIdentity({
      ...identity,
      chain: issued.chain,
      delegations: yield* betterDelegation(identity, issued.delegations, now)
    })
  })

/**
 * The new delegation when it lasts longer and either is no further from the root or comes while
 * the old one is in the second half of its life: depth is scarce, so it is not spent early.
 */
const betterDelegation = (
  identity: NodeIdentity,
  offered: ReadonlyArray<Uint8Array>,
  now: number
): Either.Either<ReadonlyArray<Uint8Array>, CertificateError> =>
  Either.gen(function* () {
    const held = identity.delegations
    if (offered.length === 0) return held
    const fresh = yield* followDelegations(identity.rootPublicKey, offered)
    if (held.length === 0) return offered
    const old = yield* followDelegations(identity.rootPublicKey, held)
    const isLonger = fresh.notAfter > old.notAfter
    const isUrgent = old.notAfter - now < delegationRenewalWindow
    return isLonger && (isUrgent || offered.length <= held.length) ? offered : held
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
      identity.rootKey !== undefined && grantsCapability(certificate, "admit")
        ? yield* issueDelegation(authority, identity.peer, certificate, now)
        : identity.delegations
    return yield* makeIdentity({ ...identity, chain, delegations })
  })
