/**
 * Who offers a service, as the program's node sees it now: for programs that have to know which host they
 * ask. Who only wants an answer calls the service, and its node chooses. A running node provides it.
 */
import { Context } from "effect"
import type { EndpointView, MeshViewCell } from "../model/MeshView.ts"
import type { ServiceName } from "../model/Names.ts"

export class MeshDirectory extends Context.Tag("skein/api/MeshDirectory")<
  MeshDirectory,
  {
    /** That the program's node is in; undefined: none, or it has not said. */
    readonly zone?: string | undefined
    /** All of its endpoints, also those that take nothing at the moment. */
    readonly endpoints: (service: ServiceName) => ReadonlyArray<EndpointView>
    /** Calls back when something of that has changed; returns how to stop. */
    readonly subscribe: (service: ServiceName, changed: () => void) => () => void
  }
>() {}

const nobody: ReadonlyArray<EndpointView> = []

export const directoryOf = (
  view: MeshViewCell,
  zone: string | undefined
): MeshDirectory["Type"] => ({
  zone,
  endpoints: (service) => view.current.services.get(service)?.endpoints ?? nobody,
  subscribe: (service, changed) =>
    view.subscribe((_, { gone, services }) => {
      if (services.some(({ name }) => name === service) || gone.includes(service)) changed()
    })
})
