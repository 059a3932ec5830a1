/**
 * Whose actors of a type a program's messages go to. One actor for each id in the mesh is what placement by shards
 * gives. Types that do without may have one in each zone, or on each host, so that messages stay near: which hosts
 * count is then a question of where one asks from, and the shards are placed among those.
 *
 * A single actor that lives where it is called from most would need somebody to know where each id is, and be asked
 * for it; there is nobody of the kind here.
 */
import { Context } from "effect"
import type { EndpointView } from "../model/MeshView.ts"

/** `mesh`: one for each id in the mesh. `zone`: one in each zone. `local`: one on each host that runs the type. */
export type PlacedBy = "local" | "mesh" | "zone"

/** Of a type, for all who run or call it: `Cart.annotate(Actor.Placed, "local")`. Default `mesh`. */
export class Placed extends Context.Reference<Placed>()("skein/actors/Placed", {
  defaultValue: (): PlacedBy => "mesh"
}) {}

type Near = Pick<EndpointView, "local" | "zone">

/**
 * Those among which shards are placed for who asks from `zone` (undefined: it is in none, or does not know): the nearest
 * there are. Where a caller's host, or zone, runs none of the type, the others do.
 */
export const nearest = <Host extends Near>(
  placed: PlacedBy,
  hosts: ReadonlyArray<Host>,
  zone: string | undefined
): ReadonlyArray<Host> => {
  const here = hosts.filter(({ local }) => local)
  if (placed === "mesh") return hosts
  if (placed === "local" && here.length > 0) return here
  const beside = zone === undefined ? [] : hosts.filter((host) => host.zone === zone)
  return beside.length > 0 ? beside : hosts
}
