/**
 * Signing for others (and for oneself): certificates and delegations, never more than the signer
 * holds and never longer than its own right lasts.
 */
import { Either, Schema } from "effect"
import type { NodeName, PeerKey } from "../model/Names.ts"
import { Bytes, decodeCbor, encodeCbor } from "./Cbor.ts"
import { maxCertificateLifetime } from "./Certificate.ts"
import { type CertificateError, describeInstant } from "./CertificateError.ts"
import { type Grant, grantsCapability, uncovered } from "./Grant.ts"
import type { Authority } from "./NodeIdentity.ts"
import { chainError, encodeChain, maxDepth, signStatement } from "./SignedChain.ts"

/** Certificates live a day (ms)… */
export const certificateLifetime = 86_400_000
/** …and delegations a year: they are renewed only while somebody higher up is reachable. */
export const delegationLifetime = 365 * 86_400_000
/** Statements begin this much before they are made, for receivers whose clock is behind (ms). */
export const backdate = 300_000

export interface Subject {
  readonly peer: PeerKey
  readonly name: NodeName
  readonly grant: Grant
}

const requireRight = (
  authority: Authority,
  grant: Grant,
  now: number
): Either.Either<void, CertificateError> => {
  if (authority.notAfter <= now) {
    return Either.left(
      chainError(
        "expired",
        `this node's own right to admit expired at ${describeInstant(authority.notAfter)}; bring the root key back to a node of the mesh once, and it renews it`
      )
    )
  }
  const excess = uncovered(authority.grant, grant)
  return excess.length === 0
    ? Either.void
    : Either.left(
        chainError(
          "exceeds_grant",
          `this node cannot grant ${excess.join(", ")}: it does not hold that itself`
        )
      )
}

/** A certificate chain for the subject. `lifetime` is cut to `maxCertificateLifetime`. */
export const issueCertificate = (
  authority: Authority,
  subject: Subject,
  now: number,
  lifetime = certificateLifetime
): Either.Either<Uint8Array, CertificateError> =>
  Either.map(requireRight(authority, subject.grant, now), () => {
    const notBefore = Math.max(0, now - backdate)
    const leaf = signStatement(authority.key, "certificate", authority.mesh, {
      peer: subject.peer,
      name: subject.name,
      services: subject.grant.services,
      capabilities: subject.grant.capabilities,
      notBefore,
      notAfter: Math.min(now + lifetime, notBefore + maxCertificateLifetime, authority.notAfter)
    })
    return encodeChain(authority.mesh, authority.delegations, leaf)
  })

/** The path of delegations that ends at `peer`: the signer's own and one more. */
export const issueDelegation = (
  authority: Authority,
  peer: PeerKey,
  grant: Grant,
  now: number,
  lifetime = delegationLifetime
): Either.Either<ReadonlyArray<Uint8Array>, CertificateError> =>
  Either.gen(function* () {
    yield* requireRight(authority, grant, now)
    if (authority.delegations.length >= maxDepth) {
      return yield* Either.left(
        chainError(
          "too_deep",
          `this node is ${maxDepth} delegations from the root and cannot pass on the capability admit; ask a node closer to the root`
        )
      )
    }
    const delegation = signStatement(authority.key, "delegation", authority.mesh, {
      peer,
      services: grant.services,
      capabilities: grant.capabilities,
      notBefore: Math.max(0, now - backdate),
      notAfter: Math.min(now + lifetime, authority.notAfter)
    })
    return [...authority.delegations, delegation]
  })

/** What an issuer sends to a subject: its chain and, for holders of `admit`, its delegation. */
export interface Issued {
  readonly chain: Uint8Array
  /** Empty when none comes with it. */
  readonly delegations: ReadonlyArray<Uint8Array>
}

const IssuedForm = Schema.Tuple(Schema.Literal(1), Bytes, Schema.Array(Bytes))

export const encodeIssued = (issued: Issued): Uint8Array =>
  encodeCbor([1, issued.chain, issued.delegations])

export const decodeIssued = (bytes: Uint8Array): Either.Either<Issued, CertificateError> =>
  Either.map(decodeCbor(IssuedForm, bytes, "the issued certificate"), ([, chain, delegations]) => ({
    chain,
    delegations
  }))

/** A certificate and, when the grant has `admit`, the delegation that goes with it. */
export const issue = (
  authority: Authority,
  subject: Subject,
  now: number
): Either.Either<Issued, CertificateError> =>
  Either.gen(function* () {
    const chain = yield* issueCertificate(authority, subject, now)
    const delegations = grantsCapability(subject.grant, "admit")
      ? yield* issueDelegation(authority, subject.peer, subject.grant, now)
      : []
    return { chain, delegations }
  })
