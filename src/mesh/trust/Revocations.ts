/**
 * Who is thrown out, and what has been taken from those who stay. Made of what holders of `revoke` have
 * signed, and of nothing else: the same statements in any order make the same of it on every node. An
 * immutable value; looking something up costs the same however many there are.
 *
 * A revoked node's certificate counts for nothing, and what it signed counts for nobody but those whom
 * the revocation names as staying. Who was signed for by somebody else since does not rest on it any more.
 *
 * Which statements count, in the order of their clocks: those of nodes that are not out themselves by
 * then. Whatever it signs, nobody
 *
 * - takes back, or changes, its own revocation;
 * - throws out those on whose word it is here itself;
 * - escapes by throwing out who threw it out, though it date that back: of the two the one nearer to the
 *   root is believed, and at the same distance both are out until somebody else takes one back.
 */

import type { NodeName, PeerKey, ServiceName } from "../../model/Names.ts"
import { plainLine } from "../../model/PlainLine.ts"
import { matchesService } from "../../model/Session.ts"
import { type InviteId, type TrustBody, trustName } from "../../schema/TrustSchema.ts"

/** What somebody has signed about trust: the newest under this name of this signer. */
export interface TrustStatement {
  readonly name: string
  readonly signer: PeerKey
  /** Whom its certificate rests on, root first. */
  readonly issuers: ReadonlyArray<PeerKey>
  /** Hybrid logical clock: ms, and what came within the same. */
  readonly epoch: number
  readonly version: number
  /** Undefined: what stood under this name is taken back. */
  readonly body: TrustBody | undefined
  readonly why: string | undefined
  /** Wall clock of its signer, ms. */
  readonly signedAt: number
  /** For people: who, and on which node. */
  readonly author: string
}

/** One right that is gone, and what people want to know of it. */
export interface Revocation<Body extends TrustBody = TrustBody> {
  readonly body: Body
  readonly signer: PeerKey
  readonly why: string | undefined
  /** By the hybrid logical clock, ms: what its subject said from then on does not count. */
  readonly epoch: number
  /** Wall clock, ms. */
  readonly at: number
  readonly by: string
}

type Body<Kind extends TrustBody["revoke"]> = Extract<TrustBody, { readonly revoke: Kind }>
type NodeRevocation = Revocation<Body<"node">>
type GrantRevocation = Revocation<Body<"grant">>

/** Somebody with a certificate, as far as trust goes. */
export interface Rested {
  readonly peer: PeerKey
  /** Whom its certificate rests on, root first. */
  readonly issuers: ReadonlyArray<PeerKey>
}

const inOrder = (a: string, b: string): number => Number(a > b) - Number(a < b)

/** At equal clocks any order will do that all agree on. */
const byClock = (a: TrustStatement, b: TrustStatement): number =>
  a.epoch - b.epoch ||
  a.version - b.version ||
  inOrder(a.signer, b.signer) ||
  inOrder(a.name, b.name)

const isBodyOf =
  <Kind extends TrustBody["revoke"]>(kind: Kind) =>
  (revocation: Revocation): revocation is Revocation<Body<Kind>> =>
    revocation.body.revoke === kind

const isNode = isBodyOf("node")
const isGrant = isBodyOf("grant")
const isInvite = isBodyOf("invite")

/** The revocation by which the peer is out, directly or because of whom it rests on. */
const outBy = (
  nodes: ReadonlyMap<PeerKey, NodeRevocation>,
  { peer, issuers }: Rested
): NodeRevocation | undefined => {
  if (nodes.size === 0) return undefined
  const own = nodes.get(peer)
  if (own !== undefined) return own
  for (const [index, issuer] of issuers.entries()) {
    const revoked = nodes.get(issuer)
    if (revoked !== undefined && !revoked.body.stay.includes(issuers[index + 1] ?? peer)) {
      return revoked
    }
  }
  return undefined
}

/** Delegations above whoever let it in last, its own word aside; 0: the root itself has signed for it. */
const distanceOf = ({ issuers, signer }: TrustStatement): number =>
  issuers.at(-1) === signer ? Math.max(1, issuers.length - 1) : issuers.length

/** What has been said, in order; the last word under each name that counts. */
const inForce = (statements: ReadonlyArray<TrustStatement>): ReadonlyArray<Revocation> => {
  const said = new Map<string, Revocation>()
  const nodes = new Map<PeerKey, NodeRevocation>()
  const distances = new Map<Revocation, number>()
  const unsay = (name: string): void => {
    const held = said.get(name)
    said.delete(name)
    if (held !== undefined && isNode(held)) nodes.delete(held.body.peer)
  }
  for (const statement of [...statements].sort(byClock)) {
    const { author, body, epoch, issuers, name, signedAt, signer, why } = statement
    // Two who revoke the same must not speak past each other.
    if (body !== undefined && trustName(body) !== name) continue
    const about = body ?? said.get(name)?.body
    const target = about?.revoke === "node" ? about.peer : undefined
    if (target === signer || (target !== undefined && issuers.includes(target))) continue
    const distance = distanceOf(statement)
    const out = outBy(nodes, { peer: signer, issuers })
    if (out !== undefined) {
      // Who is out is heard only against the one that threw it out.
      const isAnswer = body !== undefined && out.signer === target && out.body.peer === signer
      const theirs = distances.get(out) ?? 0
      if (!isAnswer || distance > theirs) continue
      if (distance < theirs) unsay(trustName(out.body))
    }
    unsay(name)
    if (body === undefined) continue
    const revocation: Revocation = { body, signer, why, epoch, at: signedAt, by: author }
    said.set(name, revocation)
    distances.set(revocation, distance)
    if (isNode(revocation)) nodes.set(revocation.body.peer, revocation)
  }
  return [...said.values()]
}

export class Revocations {
  static readonly none = new Revocations([])

  /** All of them, oldest word first. */
  readonly all: ReadonlyArray<Revocation>
  readonly #nodes: ReadonlyMap<PeerKey, NodeRevocation>
  readonly #grants: ReadonlyMap<PeerKey, ReadonlyArray<GrantRevocation>>
  readonly #invites: ReadonlyMap<InviteId, Revocation>

  private constructor(all: ReadonlyArray<Revocation>) {
    this.all = all
    this.#nodes = new Map(all.filter(isNode).map((one) => [one.body.peer, one]))
    this.#grants = Map.groupBy(all.filter(isGrant), ({ body }) => body.peer)
    this.#invites = new Map(all.filter(isInvite).map((one) => [one.body.invite, one]))
  }

  /** Of a bounded number of statements: the settings' limit. */
  static of(statements: ReadonlyArray<TrustStatement>): Revocations {
    const all = inForce(statements)
    return all.length === 0 ? Revocations.none : new Revocations(all)
  }

  /** Its own, not that of somebody it rests on. */
  node(peer: PeerKey): NodeRevocation | undefined {
    return this.#nodes.get(peer)
  }

  /** Why a certificate counts for nothing; undefined: it counts. */
  outBy(certificate: Rested): NodeRevocation | undefined {
    return outBy(this.#nodes, certificate)
  }

  /** Why a service that the certificate grants is not the peer's all the same. */
  grant(peer: PeerKey, service: ServiceName): GrantRevocation | undefined {
    return this.#grants.get(peer)?.find(({ body }) => matchesService(body.service, service))
  }

  /** One by which it was taken from the node that was called so then. */
  grantOf(called: NodeName, service: ServiceName): GrantRevocation | undefined {
    return this.all
      .filter(isGrant)
      .find(({ body }) => body.called === called && matchesService(body.service, service))
  }

  /** Patterns of services that were taken from a peer. */
  withheldFrom(peer: PeerKey): ReadonlyArray<string> {
    return this.#grants.get(peer)?.map(({ body }) => body.service) ?? []
  }

  invite(id: InviteId): Revocation | undefined {
    return this.#invites.get(id)
  }

  /** Do both say the same of this peer? */
  agree(other: Revocations, certificate: Rested): boolean {
    if (this === other) return true
    const { peer } = certificate
    const [ours, theirs] = [this.withheldFrom(peer), other.withheldFrom(peer)]
    return (
      (this.outBy(certificate) === undefined) === (other.outBy(certificate) === undefined) &&
      ours.length === theirs.length &&
      ours.every((pattern) => theirs.includes(pattern))
    )
  }
}

/** Where readers find the newest; replaced by whoever hears more. */
export interface RevocationsCell {
  current: Revocations
}

/** For logs and answers, on one line: `… was thrown out of the mesh by ops at 2031-…: the disk was stolen`. */
export const describeRevocation = ({ at, body, by, why }: Revocation): string => {
  const what =
    body.revoke === "node"
      ? `${body.called ?? body.peer} was thrown out of the mesh`
      : body.revoke === "grant"
        ? `${body.service} was taken from ${body.called ?? body.peer}`
        : "the invite was taken back"
  const text = `${what} by ${by} at ${new Date(at).toISOString()}${why === undefined ? "" : `: ${why}`}`
  // Its author wrote it, and others' terminals and logs show it.
  return plainLine(text)
}
