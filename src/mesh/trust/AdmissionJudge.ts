/** Decides who gets in. Pure: what it goes by is handed in, what it decides is returned. */
import { Either } from "effect"
import type { NodeName, PeerKey } from "../../model/Names.ts"
import type { InviteId } from "../../schema/TrustSchema.ts"
import { AdmissionRefused, refusedByUs } from "./AdmissionRefused.ts"
import { type ChainCache, type VerifiedCertificate, verifyChain } from "./Certificate.ts"
import type { CertificateError } from "./CertificateError.ts"
import { type VerifiedClaim, verifyClaim } from "./InviteClaim.ts"
import { decodeIssued, encodeIssued, issue } from "./Issue.ts"
import type { NodeIdentity } from "./NodeIdentity.ts"
import { issueNearer, issueRenewal, renewalGrace } from "./Renewal.ts"
import { describeRevocation, type Revocation, type Revocations } from "./Revocations.ts"
import { memberMark } from "./RootStatement.ts"
import type { Roots } from "./Roots.ts"

export interface JudgeContext {
  readonly identity: NodeIdentity
  /** Wall clock, ms. */
  readonly now: number
  /** Default `defaultSkew`. */
  readonly skew?: number | undefined
  readonly cache?: ChainCache | undefined
  readonly revocations: Revocations
  /** Does another peer bear this name? */
  readonly isNameTaken: (name: NodeName, peer: PeerKey) => boolean
  /** May this peer come in with an invite that has a limit? Default: it may. */
  readonly mayUse?: ((invite: InviteId, limit: number, peer: PeerKey) => boolean) | undefined
}

export interface Admittance {
  readonly certificate: VerifiedCertificate
  /** What the peer is to be given: a renewal, a nearer path, or a joiner's first certificate. */
  readonly issued: Uint8Array | undefined
  /** What it came with, when it has joined just now. */
  readonly claim?: VerifiedClaim | undefined
}

type Judgement = Either.Either<Admittance, AdmissionRefused>

const refuse = (error: CertificateError) => refusedByUs(error.code, error.message)

export const refuseRevoked = (
  revocation: Revocation | undefined
): Either.Either<void, AdmissionRefused> =>
  revocation === undefined
    ? Either.void
    : Either.left(
        new AdmissionRefused({
          ...{ code: "revoked", by: "us", message: describeRevocation(revocation) },
          outcast: revocation.body.revoke === "node" ? revocation.body.peer : undefined
        })
      )

const verifyOptions = (context: JudgeContext, peer: PeerKey) => ({
  roots: context.identity.roots,
  now: context.now,
  skew: context.skew,
  cache: context.cache,
  peer
})

/** Under a withdrawn root only those come over whom the withdrawal names, with the rights they had then. */
const refuseLeft = (
  roots: Roots,
  certificate: VerifiedCertificate
): Either.Either<void, AdmissionRefused> => {
  const withdrawn = roots.whyWithdrawn(certificate.root)
  return withdrawn === undefined || roots.stays(certificate.root, memberMark(certificate))
    ? Either.void
    : Either.left(
        refusedByUs(
          "root_withdrawn",
          `${certificate.name} (${certificate.peer}) is not one of those that came over: ${withdrawn}`
        )
      )
}

/**
 * A member shows its chain. One that slept too long, or through the end of its root, is renewed in place,
 * if we are able to; one whose path to the root is longer than it would be under ours, or whose root is
 * being replaced, is signed for anew, if we hold its rights.
 */
export const judgeMember = (chain: Uint8Array, peer: PeerKey, context: JudgeContext): Judgement =>
  Either.gen(function* () {
    const options = verifyOptions(context, peer)
    const verified = verifyChain(chain, options)
    const mayBeMended = ["expired", "root_withdrawn"]
    if (Either.isLeft(verified) && !mayBeMended.includes(verified.left.code)) {
      return yield* Either.left(refuse(verified.left))
    }
    const certificate = yield* Either.mapLeft(
      verifyChain(chain, { ...options, expiredGrace: renewalGrace, evenWithdrawn: true }),
      refuse
    )
    yield* refuseLeft(context.identity.roots, certificate)
    yield* refuseRevoked(context.revocations.outBy(certificate))
    if (Either.isRight(verified)) {
      // The one it showed counts until it shows the other: it need not take that.
      return { certificate, issued: issueNearer(context.identity, certificate, context.now) }
    }

    const issued = yield* Either.mapLeft(
      issueRenewal(context.identity, certificate, context.now),
      (cannot) =>
        refusedByUs(
          verified.left.code,
          `${verified.left.message}; not renewed here: ${cannot.message}`
        )
    )
    return { certificate: yield* readIssued(issued, peer, context), issued }
  })

/** A joiner shows its claim to an invite and gets its first certificate. */
export const judgeJoiner = (
  claim: Uint8Array,
  name: NodeName,
  peer: PeerKey,
  context: JudgeContext
): Judgement =>
  Either.gen(function* () {
    const { identity, now } = context
    const invited = yield* Either.mapLeft(
      verifyClaim(claim, {
        roots: identity.roots,
        now,
        skew: context.skew,
        peer,
        name,
        cache: context.cache
      }),
      refuse
    )
    yield* refuseRevoked(context.revocations.invite(invited.id))
    yield* refuseRevoked(context.revocations.outBy({ peer, issuers: invited.issuers }))
    const { id, uses } = invited
    if (uses !== undefined && context.mayUse?.(id, uses, peer) === false) {
      return yield* Either.left(
        refusedByUs(
          "used_up",
          `peer ${peer} wants to join as ${name} with the invite ${id}, which has let in as many as it may (${uses})`
        )
      )
    }
    if (context.isNameTaken(name, peer)) {
      return yield* Either.left(
        refusedByUs("name_taken", `peer ${peer} wants to join as ${name}, which is another node`)
      )
    }
    if (identity.authority === undefined) {
      return yield* Either.left(
        refusedByUs("cannot_admit", `node ${identity.name} holds no admit and cannot admit ${name}`)
      )
    }
    const issued = yield* Either.mapLeft(
      issue(identity.authority, { peer, name, grant: invited.grant }, now),
      refuse
    )
    const bytes = encodeIssued(issued)
    const certificate = yield* readIssued(bytes, peer, context)
    return { certificate, issued: bytes, claim: invited }
  })

/** Our own signature, read back: what others will see is what we go by. */
const readIssued = (
  issued: Uint8Array,
  peer: PeerKey,
  context: JudgeContext
): Either.Either<VerifiedCertificate, AdmissionRefused> =>
  decodeIssued(issued).pipe(
    Either.flatMap(({ chain }) => verifyChain(chain, verifyOptions(context, peer))),
    Either.mapLeft(refuse)
  )
