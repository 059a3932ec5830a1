/** The ways of ActorContract.ts as layers. A program loads what its own way needs, as any program does. */
import { Effect, Layer } from "effect"
import type { Way } from "./ActorContract.ts"
import type { Call, Place } from "./Call.ts"

export const layerOf = (way: Way, place: Place): Layer.Layer<Call, unknown> =>
  Layer.unwrapEffect(Effect.promise(() => load(way, place)))

const load = async (way: Way, place: Place): Promise<Layer.Layer<Call, unknown>> => {
  if (way === "cluster") {
    const { clustered } = await import("./ClusterEntities.ts")
    return clustered(place)
  }
  const { attached, embedded } = await import("./MeshActors.ts")
  return way === "mesh" ? embedded(place) : attached(place)
}
