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

/** How near hosts are among which shards are placed. */
export type Circle = "all" | "here" | "zone"

/** Is the host one of the circle, for who asks from `zone`? */
export const isWithin = (circle: Circle, host: Near, zone: string | undefined): boolean =>
  circle === "all" || (circle === "here" ? host.local : zone !== undefined && host.zone === zone)

/** Of those that count for a type, the nearest first. */
const circles: Readonly<Record<PlacedBy, ReadonlyArray<Circle>>> = {
  mesh: ["all"],
  zone: ["zone", "all"],
  local: ["here", "zone", "all"]
}

/**
 * The circle in which shards are placed for who asks from `zone` (undefined: it is in none, or does not know): the
 * nearest that there is a host in. Where a caller's host, or zone, runs none of the type, the others do.
 */
export const nearestCircle = (
  placed: PlacedBy,
  hosts: ReadonlyArray<Near>,
  zone: string | undefined
): Circle =>
  circles[placed].find((circle) => hosts.some((host) => isWithin(circle, host, zone))) ?? "all"
