/**
 * What is meant by the word that somebody wants revoked, and what it means for others. Pure: who is there is
 * handed in.
 */
import { Either, Schema } from "effect"
import type { VerifiedCertificate } from "../mesh/trust/Certificate.ts"
import { parseInvite } from "../mesh/trust/Invite.ts"
import type { NodeIdentity } from "../mesh/trust/NodeIdentity.ts"
import type { Revocations } from "../mesh/trust/Revocations.ts"
import { isNodeName, isPeerKey, type NodeName, type PeerKey } from "../model/Names.ts"
import { ServicePattern } from "../schema/ServicePattern.ts"
import { InviteId, maxStaying, type TrustBody } from "../schema/TrustSchema.ts"

/** What is known of a member. */
export interface Known {
  readonly certificate: Pick<VerifiedCertificate, "issuers" | "name" | "peer">
}

export interface RevokeProblem {
  readonly code: "not_there" | "ambiguous" | "invalid" | "itself" | "above" | "too_many"
  readonly message: string
  readonly hint: string
}

const problem = (code: RevokeProblem["code"], message: string, hint: string) =>
  Either.left<RevokeProblem>({ code, message, hint })

const quoted = (text: string): string => (isNodeName(text) ? text : JSON.stringify(text))

const isInviteId = Schema.is(InviteId)
const isPattern = Schema.is(ServicePattern)

interface Named {
  readonly peer: PeerKey
  readonly called: NodeName | undefined
}

const findNode = (
  text: string,
  members: ReadonlyArray<Known>,
  revocations: Revocations
): Either.Either<Named, RevokeProblem> => {
  const found = new Map<PeerKey, NodeName>()
  for (const { certificate } of members) {
    const { name, peer } = certificate
    if (name === text || peer === text) found.set(peer, name)
  }
  // One that is out already can be revoked again, for another reason.
  for (const { body } of revocations.all) {
    if (body.revoke === "node" && body.called === text && !found.has(body.peer)) {
      found.set(body.peer, body.called)
    }
  }
  const [first, ...others] = found
  if (first !== undefined && others.length === 0) {
    return Either.right({ peer: first[0], called: first[1] })
  }
  if (first !== undefined) {
    const peers = [...found.keys()].join(", ")
    return problem("ambiguous", `several nodes are called ${text}`, `Say which: ${peers}.`)
  }
  if (isPeerKey(text) && text.length > 40) return Either.right({ peer: text, called: undefined })
  return problem(
    "not_there",
    `there is no node ${quoted(text)} in the mesh`,
    "`skein members` lists them. One that is not there any more is revoked by its peer id."
  )
}

/** Those for whom this peer was the last to sign, or the one before them on their path. */
export const signedFor = (peer: PeerKey, members: ReadonlyArray<Known>): ReadonlyArray<PeerKey> => {
  const found = new Set<PeerKey>()
  for (const { certificate } of members) {
    for (const [index, issuer] of certificate.issuers.entries()) {
      const below = certificate.issuers[index + 1] ?? certificate.peer
      if (issuer === peer && below !== peer) found.add(below)
    }
  }
  return [...found].sort()
}

export interface RevokeAsked {
  readonly target: string
  readonly withAdmitted: boolean
}

export interface RevokeSources {
  readonly self: NodeIdentity
  readonly members: ReadonlyArray<Known>
  readonly revocations: Revocations
  /** Wall clock, ms. */
  readonly now: number
}

/** What is to be set, or why not. */
export const bodyOf = (
  { target, withAdmitted }: RevokeAsked,
  { members, now, revocations, self }: RevokeSources
): Either.Either<TrustBody, RevokeProblem> =>
  Either.gen(function* () {
    const text = target.trim()
    if (text === "" || text.startsWith("/")) {
      return yield* problem(
        "invalid",
        text === "" ? "nobody is named who is to be revoked" : `${quoted(text)} names no node`,
        "Write NODE, NODE/SERVICE, or an invite's token or id; `skein revoke` alone lists what is revoked."
      )
    }
    if (text.startsWith("skein1.")) {
      const invite = yield* Either.mapLeft(
        parseInvite(text, now, { mesh: self.mesh }),
        ({ message }): RevokeProblem => ({
          ...{ code: "invalid", message: `the token cannot be revoked: ${message}` },
          hint: "One that has expired admits nobody anyway."
        })
      )
      return { revoke: "invite", invite: invite.id }
    }
    if (isInviteId(text)) return { revoke: "invite", invite: text }
    const [node = "", service, ...rest] = text.split("/")
    const named = yield* findNode(node, members, revocations)
    const { peer } = named
    const called = named.called === undefined ? {} : { called: named.called }
    if (service !== undefined) {
      if (rest.length > 0 || !isPattern(service)) {
        return yield* problem(
          "invalid",
          `${JSON.stringify(text.slice(node.length + 1))} is no service, nor a pattern of services`,
          "Write NODE/SERVICE, NODE/shop-* or NODE/*."
        )
      }
      return { revoke: "grant", peer, ...called, service }
    }
    const name = named.called ?? peer
    if (peer === self.peer) {
      return yield* problem(
        "itself",
        `${name} is this node, and nobody throws itself out`,
        "`skein leave` lets it go. When its key may be stolen, revoke it from another node."
      )
    }
    if (self.certificate.issuers.includes(peer)) {
      return yield* problem(
        "above",
        `this node is a member on the word of ${name}, so it cannot throw it out`,
        "Do it on a node that is nearer to the root, or with root.key in this node's data directory for one start: then it rests on nobody."
      )
    }
    const stay = withAdmitted ? [] : signedFor(peer, members)
    if (stay.length > maxStaying) {
      return yield* problem(
        "too_many",
        `${stay.length} members rest on ${name} alone, and a revocation can name ${maxStaying} that stay`,
        "Let them meet a node nearer to the root first, which signs for them anew, or revoke with --with-admitted."
      )
    }
    return { revoke: "node", peer, ...called, stay }
  })
