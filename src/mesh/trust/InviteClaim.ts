/**
 * What a joiner shows instead of its token: the invite's chain, and a signature by the token's secret
 * over the joiner's own peer key and name. A claim that is overheard, logged or shown to the wrong peer lets
 * nobody else in.
 */
import { Either, Schema } from "effect"
import type { MeshId, NodeName, PeerKey } from "../../model/Names.ts"
import type { InviteId } from "../../schema/TrustSchema.ts"
import { Bytes, decodeCbor, encodeCbor } from "./Cbor.ts"
import { type ChainCache, defaultSkew, judgeTime } from "./Certificate.ts"
import type { CertificateError } from "./CertificateError.ts"
import { type Grant, grantOf } from "./Grant.ts"
import { type Invite, inviteIdOf, openInvite } from "./Invite.ts"
import type { Roots } from "./Roots.ts"
import { chainError, signedBytes } from "./SignedChain.ts"
import { signBytes, verifyBytes } from "./SigningKey.ts"

/** What a later version adds at the end is passed over: this goes from one node to one other. */
const Claim = Schema.Tuple([Bytes, Bytes], Schema.Unknown)

const claimText = (mesh: MeshId, peer: PeerKey, name: NodeName): Uint8Array =>
  signedBytes("claim", mesh, Buffer.from(`${peer}\n${name}`))

/** What a joiner shows instead of the token: good for this peer and node name only. */
export const claimInvite = (invite: Invite, peer: PeerKey, name: NodeName): Uint8Array =>
  encodeCbor([invite.chain, signBytes(invite.secret, claimText(invite.mesh, peer, name))])

export interface VerifiedClaim {
  readonly id: InviteId
  /** How many hosts it lets in; undefined: any number. */
  readonly uses: number | undefined
  /** Wall clock, ms. */
  readonly until: number
  readonly grant: Grant
  readonly issuers: ReadonlyArray<PeerKey>
}

/** Judges a claim shown by `peer`, who wants to be called `name`. */
export const verifyClaim = (
  bytes: Uint8Array,
  options: {
    readonly roots: Roots
    readonly now: number
    readonly skew?: number | undefined
    readonly peer: PeerKey
    readonly name: NodeName
    readonly cache?: ChainCache | undefined
  }
): Either.Either<VerifiedClaim, CertificateError> =>
  Either.gen(function* () {
    const [chain, proof] = yield* decodeCbor(Claim, bytes, "the claim to an invite")
    const { roots } = options
    const { leaf, path } = yield* openInvite(chain, roots, options.cache)
    const { mesh } = roots
    const withdrawn = roots.whyWithdrawn(path.root)
    if (withdrawn !== undefined) {
      const message = `the invite of peer ${options.peer} (${options.name}) counts for nothing: ${withdrawn}`
      return yield* Either.left(chainError("root_withdrawn", message))
    }
    if (!verifyBytes(leaf.holder, proof, claimText(mesh, options.peer, options.name))) {
      return yield* Either.left(
        chainError("wrong_peer", `peer ${options.peer} showed an invite without holding its token`)
      )
    }
    if (leaf.names !== undefined && !leaf.names.includes(options.name)) {
      return yield* Either.left(
        chainError(
          "exceeds_grant",
          `peer ${options.peer} wants to join as ${options.name}, and its invite is for ${leaf.names.join(", ")}`
        )
      )
    }
    const skew = options.skew ?? defaultSkew
    yield* judgeTime("a delegation above the invite", path, options.now, skew)
    // Its end is kept to the millisecond here, where the mesh's clocks decide; the joiner, whose
    // clock may be wrong, is the one that gives the benefit of the doubt.
    yield* judgeTime("the invite", leaf, options.now, skew, -skew)
    return {
      id: inviteIdOf(leaf.holder),
      uses: leaf.uses,
      until: Math.min(leaf.notAfter, path.notAfter),
      grant: grantOf(leaf),
      issuers: path.issuers
    }
  })
