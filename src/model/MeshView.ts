/**
 * What the request plane sees of the mesh: an immutable value that the mesh plane replaces whole.
 * The request plane reads the current one with a single property load and never waits for it.
 */
import type { NodeName, PeerKey, ServiceName } from "./Names.ts"
import type { Protocol } from "./NodeRecord.ts"

export interface EndpointView {
  /** `<peer>/<service>/<endpoint id>`: unique in the mesh, stable while the endpoint lives. */
  readonly key: string
  readonly peer: PeerKey
  readonly node: NodeName
  readonly zone: string | undefined
  /** Endpoint id within its node. */
  readonly endpoint: string
  /** As its owner's health checks say. */
  readonly healthy: boolean
  /** Takes nothing new. */
  readonly draining: boolean
  /** As membership says of its node; the request plane's own link knows better and sooner. */
  readonly member: "alive" | "suspect" | "dead"
  readonly weight: number
  /** Offered by this very node: no link is needed. */
  readonly local: boolean
}

/** An endpoint that gets no calls, because its node says another protocol than the service has. */
export interface LeftOut {
  readonly protocol: Protocol
  readonly endpoint: EndpointView
}

export interface ServiceView {
  readonly name: ServiceName
  readonly protocol: Protocol
  readonly endpoints: ReadonlyArray<EndpointView>
  /** For people only; absent: none. */
  readonly leftOut?: ReadonlyArray<LeftOut> | undefined
}

export interface MeshView {
  /** Grows by one with every new view of this process. */
  readonly version: number
  readonly services: ReadonlyMap<ServiceName, ServiceView>
}

export const emptyMeshView: MeshView = { version: 0, services: new Map() }

/** The one mutable cell between the planes. Only its owner in the mesh plane sets it. */
export interface MeshViewCell {
  readonly current: MeshView
  /** Called synchronously after each replacement, so that plans can be recompiled. */
  subscribe(listener: (view: MeshView) => void): () => void
}

export class MeshViewSource implements MeshViewCell {
  current: MeshView = emptyMeshView
  readonly #listeners = new Set<(view: MeshView) => void>()

  set(services: ReadonlyMap<ServiceName, ServiceView>): void {
    this.current = { version: this.current.version + 1, services }
    for (const listener of this.#listeners) listener(this.current)
  }

  subscribe(listener: (view: MeshView) => void): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }
}
