/** What is wrong with the roots of the mesh. Pure: from what is known of them to findings. */
import type { MeshFinding } from "../mesh/catalogue/MeshFindings.ts"
import { describeSpan } from "../mesh/trust/CertificateError.ts"
import type { Root } from "../mesh/trust/Root.ts"
import type { Roots } from "../mesh/trust/Roots.ts"
import type { NodeName } from "../model/Names.ts"

/** By then every certificate there is has been renewed twice, so whoever is there has moved (ms). */
const unfinishedAfter = 2 * 86_400_000

/** Roots in force that one and the same root has added. */
const forksIn = (roots: Roots): ReadonlyArray<readonly [string, ReadonlyArray<Root>]> =>
  Array.from(Map.groupBy(roots.inForce, ({ by }) => by)).flatMap(([by, added]) =>
    by !== undefined && added.length > 1 ? [[by, added] as const] : []
  )

/** Wall clock `now`, ms. `name`: of this node. */
export const rootFindings = (
  roots: Roots,
  name: NodeName,
  now: number
): ReadonlyArray<MeshFinding> => {
  const forks = forksIn(roots).map(
    ([by, added]): MeshFinding => ({
      kind: "root_forked",
      service: undefined,
      nodes: [name],
      message: `the root ${by} has added ${added.length} others, ${added.map(({ id }) => id).join(" and ")}: it was rotated twice, or somebody else holds its key`,
      hint: "If one of them is not yours: `skein root status`, `skein revoke` members that you do not know, and at once, where the key of your own is, `skein root finish --keep ID`, which withdraws the others. Whoever holds the key of the old root alone does `skein root rotate` first."
    })
  )
  const { newest } = roots
  const lasts = now - newest.at
  if (!roots.isRotating || lasts < unfinishedAfter) return forks
  return [
    ...forks,
    {
      kind: "root_unfinished",
      service: undefined,
      nodes: [name],
      message: `the root ${newest.id} was added ${describeSpan(lasts)} ago, and what it is to replace still counts: ${roots.inForce
        .slice(1)
        .map(({ id }) => id)
        .join(", ")}`,
      hint: "`skein root status` says who is left under it; `skein root finish`, where the newest root's key is, withdraws it."
    }
  ]
}
