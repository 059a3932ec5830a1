/**
 * Under which of the mesh's roots everybody stands, and whether the older ones can be withdrawn without anybody
 * noticing. Pure: who is there is handed in.
 */
import type { VerifiedCertificate } from "../mesh/trust/Certificate.ts"
import type { NodeIdentity } from "../mesh/trust/NodeIdentity.ts"
import { holdsNewestRoot } from "../mesh/trust/RootRotation.ts"
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
}

/** Those that do not stand under the newest root, the ones that are there first. */
export const leftUnderOld = (
  roots: Roots,
  members: ReadonlyArray<Standing>
): ReadonlyArray<LeftUnder> =>
  members
    .filter(({ certificate }) => certificate?.root !== roots.newest.id)
    .map(({ certificate, isThere, name, peer }) => ({
      ...{ peer, name, isThere, root: certificate?.root }
    }))
    .sort((a, b) => Number(b.isThere) - Number(a.isThere) || (a.name < b.name ? -1 : 1))

/** Names in a message; in a large mesh there may be many. */
const mostNames = 5

const namesOf = (nodes: ReadonlyArray<{ readonly name: NodeName }>): string => {
  const shown = nodes.slice(0, mostNames).map(({ name }) => name)
  return nodes.length > mostNames
    ? `${shown.join(", ")} and ${nodes.length - mostNames} more`
    : shown.join(", ")
}

/** Why the older roots must not be withdrawn yet; undefined: nobody who is there would notice. */
export const notYet = (
  identity: NodeIdentity,
  members: ReadonlyArray<Standing>
): string | undefined => {
  const { certificate, roots } = identity
  if (!roots.isRotating) return "no rotation is under way: one root is in force"
  if (!holdsNewestRoot(identity)) {
    return "this node does not hold the key of the newest root: do it where that is, or bring it here (`skein root import`) and start the node"
  }
  const behind = leftUnderOld(roots, members).filter(({ isThere }) => isThere)
  if (certificate.root !== roots.newest.id)
    return "this node itself still stands under an older root"
  return behind.length === 0
    ? undefined
    : `${namesOf(behind)} ${behind.length === 1 ? "is" : "are"} there and still under an older root`
}
