/** For programs that may start before what they call. */
import { Effect } from "effect"
import type { MeshViewCell } from "../model/MeshView.ts"
import type { ServiceName } from "../model/Names.ts"

/** Done as soon as the view has a healthy endpoint of the service. */
export const untilOffered = (view: MeshViewCell, service: ServiceName): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    const look = () => {
      const endpoints = view.current.services.get(service)?.endpoints ?? []
      const able = endpoints.some(
        ({ healthy, draining, member }) => healthy && !draining && member !== "dead"
      )
      if (!able) return
      stop()
      resume(Effect.void)
    }
    const stop = view.subscribe((_, { services }) => {
      if (services.some(({ name }) => name === service)) look()
    })
    look()
    return Effect.sync(stop)
  })
