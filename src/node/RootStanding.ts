/**
 * Under which of the mesh's roots everybody stands, and whether the others can be withdrawn. Pure: who is there
 * is handed in.
 */
import type { VerifiedCertificate } from "../mesh/trust/Certificate.ts"
import { type Grant, grantsCapability, uncovered } from "../mesh/trust/Grant.ts"
import { heldRoot, type NodeIdentity } from "../mesh/trust/NodeIdentity.ts"
import { holdsNewestRoot, mayFinish } from "../mesh/trust/RootRotation.ts"
import type { Roots } from "../mesh/trust/Roots.ts"
import type { NodeName, PeerKey } from "../model/Names.ts"
import type { RootId } from "../schema/TrustSchema.ts"

/** A member with a record here that has not said good-bye, this node aside. */
export interface Standing {
  readonly peer: PeerKey
  readonly name: NodeName
  readonly isThere: boolean
  /** Its newest; undefined: not at hand. */
  readonly certificate: VerifiedCertificate | undefined
}

export interface LeftUnder {
  readonly peer: PeerKey
  readonly name: NodeName
  readonly isThere: boolean
  /** Undefined: not known. */
  readonly root: RootId | undefined
  /** Why it has not moved yet, and what moves it. */
  readonly why: string
}

/** Names in a message; in a large mesh there may be many. */
const mostNames = 5

const listOf = (names: ReadonlyArray<string>): string => {
  const shown = names.slice(0, mostNames)
  return names.length > mostNames
    ? `${shown.join(", ")} and ${names.length - mostNames} more`
    : shown.join(", ")
}

/** Those of its rights that no certificate under the newest root with a right to sign holds; none: it has signers. */
export const rightsNobodyHolds = (
  roots: Roots,
  wanted: Grant,
  certificates: ReadonlyArray<VerifiedCertificate>
): ReadonlyArray<string> =>
  certificates
    .filter((held) => held.root === roots.newest.id && grantsCapability(held, "admit"))
    .map((held) => uncovered(held, wanted))
    .reduce(
      (least, lacking) => (lacking.length < least.length ? lacking : least),
      uncovered({ services: [], capabilities: [] }, wanted).concat("a right to sign")
    )

/** Who has the root's key signs for everybody, whatever its certificate says. */
export const describeLacking = (lacking: ReadonlyArray<string>): string =>
  `no node that is there has a certificate under the newest root with ${listOf(lacking)}: only the node with that root's key can move it (\`skein root import\` and start a node, if it is on none)`

const whyLeft = (
  identity: NodeIdentity,
  { certificate, isThere }: Standing,
  signers: ReadonlyArray<VerifiedCertificate>
): string => {
  if (!isThere) return "away: it is signed for when it comes back"
  if (certificate === undefined) return "its newest certificate is not known here"
  const lacking = holdsNewestRoot(identity)
    ? []
    : rightsNobodyHolds(identity.roots, certificate, signers)
  return lacking.length === 0 ? "it moves within a minute" : describeLacking(lacking)
}

/** Those that do not stand under this root, nor under one that it has added; the ones that are there first. */
export const leftUnderOthers = (
  identity: NodeIdentity,
  members: ReadonlyArray<Standing>,
  root: RootId = identity.roots.newest.id
): ReadonlyArray<LeftUnder> => {
  const { roots } = identity
  const isUnder = (held: RootId) => held === root || roots.restsOn(held, root)
  const signers = members.flatMap(({ certificate, isThere }) =>
    isThere && certificate !== undefined ? [certificate] : []
  )
  return members
    .filter(({ certificate }) => certificate === undefined || !isUnder(certificate.root))
    .map((member) => ({
      ...{ peer: member.peer, name: member.name, isThere: member.isThere },
      root: member.certificate?.root,
      why: whyLeft(identity, member, [...signers, identity.certificate])
    }))
    .sort((a, b) => Number(b.isThere) - Number(a.isThere) || (a.name < b.name ? -1 : 1))
}

/** Which root `finish` would keep, and what stands against it. */
export interface FinishPlan {
  readonly keep: RootId
  /** Undefined: nobody who is there would notice. */
  readonly notYet: string | undefined
  /** Nothing but `notYet` stands against it, so `--force` may. */
  readonly isPossible: boolean
}

/**
 * `asked`: the root that is to stay, as the operator says. With rivals in force it has to be said, and nobody is
 * waited for: everybody moves under the newest, whoever made that.
 */
export const planFinish = (
  identity: NodeIdentity,
  members: ReadonlyArray<Standing>,
  asked?: RootId
): FinishPlan => {
  const { certificate, roots } = identity
  const held = heldRoot(identity)
  const keep = asked ?? held ?? roots.newest.id
  const not = (notYet: string): FinishPlan => ({ keep, notYet, isPossible: false })
  if (!roots.isRotating) return not("no rotation is under way: one root is in force")
  if (held === undefined || !mayFinish(identity)) {
    const rivals = roots.rivalsOf(roots.newest.id).map(({ id }) => id)
    const which =
      rivals.length === 0
        ? "the newest root"
        : `a root that may stay (${listOf([roots.newest.id, ...rivals])})`
    return not(
      `this node does not hold the key of ${which}: do it where that is, or bring it here (\`skein root import\`) and start the node`
    )
  }
  if (keep !== held) {
    return not(
      `this node holds the key of the root ${held}, and not of ${keep}: it can keep no other`
    )
  }
  const rivals = roots.rivalsOf(held).map(({ id }) => id)
  if (rivals.length > 0) {
    return asked === undefined
      ? not(
          `two successors of one root are in force, this node's ${held} and ${listOf(rivals)}: say which one is to stay, \`skein root finish --keep ${held}\`, when the other is not yours`
        )
      : { keep, notYet: undefined, isPossible: true }
  }
  if (certificate.root !== roots.newest.id) {
    return { keep, notYet: "this node itself still stands under an older root", isPossible: true }
  }
  const behind = leftUnderOthers(identity, members).filter(({ isThere }) => isThere)
  const names = listOf(behind.map(({ name }) => name))
  const notYet =
    behind.length === 0
      ? undefined
      : `${names} ${behind.length === 1 ? "is" : "are"} there and still under an older root`
  return { keep, notYet, isPossible: true }
}
