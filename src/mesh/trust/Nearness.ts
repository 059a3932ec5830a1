/**
 * How far members are from the root. A path grows by one with each member that lets the next one
 * in, and paths are the cost of trust: bytes in every record, signatures to check, a limit to run
 * into. So whoever is nearer signs anew for those it meets: same key, same name, same rights, on a
 * shorter path. Members that meet end up one delegation behind the nearest that covers their
 * rights.
 *
 * A member signed for anew rests on who did that, and on those above; no longer on who let it in.
 */
import type { PeerKey } from "../../model/Names.ts"
import type { VerifiedCertificate } from "./Certificate.ts"
import { grantsCapability, uncovered } from "./Grant.ts"
import { delegationLifetime } from "./Issue.ts"
import { type Authority, holdsRivalOf, type NodeIdentity } from "./NodeIdentity.ts"
import type { Roots } from "./Roots.ts"

/**
 * A right to sign with so much left or less is late: it is exchanged for a longer one, however far
 * from the root, and never for a shorter one (ms).
 */
export const lateRight = delegationLifetime / 2

type Path = Pick<VerifiedCertificate, "peer" | "issuers">

/** Delegations above whoever let a peer in last. Under a certificate by its own hand, all but its own. */
export const distanceOf = ({ issuers, peer }: Path): number =>
  issuers.at(-1) === peer ? issuers.length - 1 : issuers.length

/** The path to a peer's own delegation, as long as one can tell from its certificate. */
export const depthOf = (certificate: Path): number => distanceOf(certificate) + 1

/** Is the path shorter, without costing life that matters? Wall clock `now`, ms. */
export const isBetterPath = (
  path: { readonly length: number; readonly notAfter: number },
  held: { readonly length: number; readonly notAfter: number },
  now: number
): boolean =>
  path.length < held.length && (path.notAfter >= held.notAfter || path.notAfter - now > lateRight)

/**
 * Would the signature of this authority bring a peer nearer, or under a newer root? Only what it holds can
 * it sign for.
 */
export const bringsNearer = (
  { depth, grant, notAfter, root }: Authority,
  roots: Roots,
  peer: VerifiedCertificate,
  now: number
): boolean => {
  if (uncovered(grant, peer).length > 0) return false
  if (root !== peer.root) return roots.isNewer(root, peer.root) && notAfter > now
  return isBetterPath(
    { length: depth, notAfter },
    { length: distanceOf(peer), notAfter: peer.signerNotAfter },
    now
  )
}

/** Whom a node could ask for a signature. */
export interface Signers {
  readonly peers: ReadonlyArray<PeerKey>
  /** Undefined: not at hand. */
  readonly certificateOf: (peer: PeerKey) => VerifiedCertificate | undefined
}

/** Is this node's right to sign in the second half of its life? Wall clock `now`, ms. */
const isLate = ({ authority }: NodeIdentity, now: number): boolean =>
  authority !== undefined && authority.notAfter - now <= lateRight

/**
 * Whom to ask for a signature, best first: under the newest root, by nearness to it, those without the
 * rights to be signed for last. While one's own right is late, those with a longer one come before all.
 */
const signersFor = (
  identity: NodeIdentity,
  { peers, certificateOf }: Signers,
  now: number
): ReadonlyArray<PeerKey> => {
  const { authority, certificate, roots } = identity
  const until = authority !== undefined && isLate(identity, now) ? authority.notAfter : undefined
  const ranked = peers.flatMap((peer) => {
    const theirs = certificateOf(peer)
    if (theirs === undefined) return [{ peer, order: [2, 0, 0, 0] }]
    if (!grantsCapability(theirs, "admit")) return []
    const isAble = uncovered(theirs, certificate).length === 0
    const isOld = theirs.root !== roots.newest.id
    const isShort = until !== undefined && theirs.signerNotAfter <= until
    const order = [isAble ? 0 : 3, Number(isOld), Number(isShort), depthOf(theirs)]
    return [{ peer, order }]
  })
  return ranked.sort((a, b) => inOrder(a.order, b.order)).map(({ peer }) => peer)
}

/** By the first number that differs. */
const inOrder = (a: ReadonlyArray<number>, b: ReadonlyArray<number>): number => {
  const differs = a.findIndex((number, index) => number !== b[index])
  return differs === -1 ? 0 : a[differs]! - b[differs]!
}

/**
 * Those of them that would bring this node under a newer root, or shorten its path: with the root key at
 * hand nobody does that.
 */
const nearerSigners = (
  identity: NodeIdentity,
  { peers, certificateOf }: Signers,
  now: number
): ReadonlyArray<PeerKey> => {
  const { authority, certificate, roots } = identity
  if (authority === undefined) return []
  const nearer = peers.filter((peer) => {
    const theirs = certificateOf(peer)
    if (theirs === undefined || uncovered(theirs, certificate).length > 0) return false
    return theirs.root === authority.root
      ? depthOf(theirs) + 1 < authority.depth
      : grantsCapability(theirs, "admit") &&
          roots.isNewer(theirs.root, authority.root) &&
          !holdsRivalOf(identity, theirs.root)
  })
  return signersFor(identity, { peers: nearer, certificateOf }, now)
}

/**
 * Who could renew this node's certificate, of those whose certificates are at hand: itself, and members that
 * hold its rights and whose own right to sign outlasts it. Wall clock `now`, ms.
 */
export const renewersOf = (
  identity: NodeIdentity,
  { peers, certificateOf }: Signers,
  now: number
): ReadonlyArray<PeerKey> => {
  const { authority, certificate, peer: self } = identity
  const outlasts = (until: number): boolean => until > Math.max(now, certificate.notAfter)
  const own = authority !== undefined && outlasts(authority.notAfter) ? [self] : []
  const others = peers.filter((peer) => {
    const theirs = certificateOf(peer)
    return (
      theirs !== undefined &&
      grantsCapability(theirs, "admit") &&
      uncovered(theirs, certificate).length === 0 &&
      outlasts(theirs.signerNotAfter)
    )
  })
  return [...own, ...others]
}

/**
 * In which order to try for a new certificate: by one's own hand unless somebody else would bring
 * this node nearer to the root, or its own right to sign is late and only others can renew that.
 */
export const renewalOrder = (
  identity: NodeIdentity,
  signers: Signers,
  now: number
): ReadonlyArray<PeerKey | "own hand"> => {
  const all = signersFor(identity, signers, now)
  if (identity.authority === undefined) return all
  if (isLate(identity, now)) return [...all, "own hand"]
  const nearer = nearerSigners(identity, signers, now)
  return [...nearer, "own hand", ...all.filter((peer) => !nearer.includes(peer))]
}
