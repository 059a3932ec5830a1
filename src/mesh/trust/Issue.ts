/**
 * Signing for others (and for oneself): certificates and delegations, never more than the signer
 * holds and never longer than its own right lasts.
 */
import { Either, Schema } from "effect"
import type { NodeName, PeerKey } from "../../model/Names.ts"
import { Bytes, decodeCbor, encodeCbor } from "./Cbor.ts"
import { maxCertificateLifetime } from "./Certificate.ts"
import { type CertificateError, describeInstant } from "./CertificateError.ts"
import { type Grant, grantOf, grantsCapability, uncovered } from "./Grant.ts"
import type { Authority } from "./NodeIdentity.ts"
import { chainError, encodeChain, maxChainBytes, maxDepth, signStatement } from "./SignedChain.ts"

/** Certificates live a day (ms)… */
export const certificateLifetime = 86_400_000
/** …and delegations a year: they are renewed only while somebody higher up is reachable. */
export const delegationLifetime = 365 * 86_400_000
/** Statements begin this much before they are made, for receivers whose clock is behind (ms). */
export const backdate = 300_000

/**
 * What the holder of a delegation must have room for under it: an invite's addresses and names,
 * beside the grant (bytes).
 */
const inviteRoom = 1_536

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

/** A chain over the limit would be signed, stored and shown, and believed by nobody. */
export const requireRoom = (
  what: string,
  delegations: number,
  bytes: number
): Either.Either<void, CertificateError> =>
  bytes <= maxChainBytes
    ? Either.void
    : Either.left(
        chainError(
          "too_large",
          `${what} would have ${bytes} bytes with the ${delegations} delegations above it, and ${maxChainBytes} is the limit: grant fewer or shorter services, or let a member closer to the root sign`
        )
      )

/** A certificate chain for the subject. `lifetime` is cut to `maxCertificateLifetime`. */
export const issueCertificate = (
  authority: Authority,
  subject: Subject,
  now: number,
  lifetime = certificateLifetime
): Either.Either<Uint8Array, CertificateError> =>
  Either.gen(function* () {
    yield* requireRight(authority, subject.grant, now)
    const notBefore = Math.max(0, now - backdate)
    const leaf = signStatement(authority.key, "certificate", authority.mesh, {
      peer: subject.peer,
      name: subject.name,
      ...grantOf(subject.grant),
      notBefore,
      notAfter: Math.min(now + lifetime, notBefore + maxCertificateLifetime, authority.notAfter)
    })
    const chain = encodeChain(authority.mesh, authority.delegations, leaf)
    const depth = authority.delegations.length
    yield* requireRoom(`the certificate of ${subject.name}`, depth, chain.length)
    return chain
  })

/**
 * The path of delegations that ends at `peer`: the signer's own and one more. There must be room
 * under it for what its holder is to sign, its own certificate and invites to as much as it holds.
 */
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
          `this node is ${maxDepth} delegations from the root, and who is further away cannot hold the capability admit: let a member closer to the root sign, or grant it without admit`
        )
      )
    }
    const delegation = signStatement(authority.key, "delegation", authority.mesh, {
      peer,
      ...grantOf(grant),
      notBefore: Math.max(0, now - backdate),
      notAfter: Math.min(now + lifetime, authority.notAfter)
    })
    const path = [...authority.delegations, delegation]
    // What is signed for others grants as much as the delegation says, so it is of about its size.
    const under = encodeChain(authority.mesh, path, delegation).length + inviteRoom
    yield* requireRoom(`what ${peer} would sign`, path.length, under)
    return path
  })

/** What an issuer sends to a subject: its chain and, for holders of `admit`, its delegation. */
export interface Issued {
  readonly chain: Uint8Array
  /** Empty when none comes with it. */
  readonly delegations: ReadonlyArray<Uint8Array>
}

/** What a later version adds at the end is passed over: this goes from one node to one other. */
const IssuedForm = Schema.Tuple([Schema.Literal(1), Bytes, Schema.Array(Bytes)], Schema.Unknown)

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
