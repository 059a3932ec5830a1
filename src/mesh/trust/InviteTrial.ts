/**
 * A token is tried out before anybody is given it: the member that made it plays both parts, its
 * own at the door and that of somebody who comes with the token, with the very rules by which both
 * will decide. So what is printed is accepted at least here, as long as nothing changes.
 */
import { Either } from "effect"
import { NodeName } from "../../model/Names.ts"
import { judgeJoiner } from "./AdmissionJudge.ts"
import { ChainCache, verifyChain } from "./Certificate.ts"
import { parseInvite } from "./Invite.ts"
import { claimInvite } from "./InviteClaim.ts"
import { decodeIssued } from "./Issue.ts"
import { makeIdentity, type NodeIdentity } from "./NodeIdentity.ts"
import { Revocations } from "./Revocations.ts"
import { generateSigningKey, peerKeyOf } from "./SigningKey.ts"

/** The longest there is: a certificate has to have room for any name. */
const anyName = NodeName.make("n".repeat(128))

/** Codes are those of certificates, tokens and refusals; the message is for who asked for the invite. */
export interface InviteRefused {
  readonly code: string
  readonly message: string
}

/** Why nobody could join with this token. Wall clock `now`, ms. */
export const tryInvite = (
  identity: NodeIdentity,
  token: string,
  now: number,
  revocations = Revocations.none
): Either.Either<void, InviteRefused> =>
  Either.gen(function* () {
    const { meshName, peer: self, roots } = identity
    const cache = new ChainCache()
    const privateKey = generateSigningKey()
    const peer = peerKeyOf(privateKey.publicKey.raw)
    const invite = yield* parseInvite(token, now)
    // A joiner looks at our certificate before it takes what we have signed.
    yield* Either.mapLeft(
      verifyChain(identity.chain, { roots, now, peer: self, cache }),
      ({ code, message }) => ({ code, message: `nobody would believe this node: ${message}` })
    )
    const name = invite.names?.[0] ?? anyName
    const { issued } = yield* judgeJoiner(claimInvite(invite, peer, name), name, peer, {
      identity,
      now,
      cache,
      revocations,
      isNameTaken: () => false
    })
    const parts = yield* decodeIssued(issued ?? new Uint8Array())
    yield* verifyChain(parts.chain, { roots, now, peer, cache })
    yield* makeIdentity({ privateKey, roots, meshName, ...parts })
  })
