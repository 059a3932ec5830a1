/**
 * What the request plane sees of the mesh. The mesh plane says what changes in it; whoever reads has
 * a replica, the request plane of the same thread as much as one in another, and reads it with a
 * single property load, without waiting for anybody.
 *
 * What may be kept: an `EndpointView` and a `ServiceView` are values, and say for good what they said
 * when they were read. A `MeshView` is the state of its replica: it says what is known now, and what
 * it said a moment ago is gone. A value of all services would cost every change a copy of them.
 */
import type { NodeName, PeerKey, ServiceName } from "./Names.ts"
import type { Protocol } from "./NodeRecord.ts"
import { changedByKey } from "./SortedByKey.ts"

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

/** Lists are in the order of the endpoints' keys, so that equal meshes give equal views. */
export interface ServiceView {
  readonly name: ServiceName
  readonly protocol: Protocol
  readonly endpoints: ReadonlyArray<EndpointView>
  /** For people only; absent: none. */
  readonly leftOut?: ReadonlyArray<LeftOut> | undefined
}

export interface MeshView {
  /** That of the last change; 0 before the first. */
  readonly version: number
  /** As they are now. */
  readonly services: ReadonlyMap<ServiceName, ServiceView>
}

/** What is new of one service. An endpoint is in one of its two lists, or in neither. */
export interface ServiceChange {
  readonly name: ServiceName
  readonly protocol: Protocol
  /** Endpoints that are new, or say something new. */
  readonly set: ReadonlyArray<EndpointView>
  /** Keys of those that are no longer among the endpoints. */
  readonly removed: ReadonlyArray<string>
  /** The same of those that are left out; absent: nothing new of them. */
  readonly leftOut?:
    | { readonly set: ReadonlyArray<LeftOut>; readonly removed: ReadonlyArray<string> }
    | undefined
}

/** A step from one version of the view to a later one: plain data, which crosses to other threads. */
export interface ViewChange {
  /** The version it makes. */
  readonly version: number
  /** The version it changes. Undefined: a whole view, beside which nothing stays. */
  readonly since: number | undefined
  readonly services: ReadonlyArray<ServiceChange>
  /** Services that nobody offers any more. */
  readonly gone: ReadonlyArray<ServiceName>
}

/** All there is in the view, for a thread that begins, or has missed a change. */
export const wholeView = ({ version, services }: MeshView): ViewChange => ({
  version,
  since: undefined,
  services: Array.from(services.values(), ({ name, protocol, endpoints, leftOut }) => ({
    name,
    protocol,
    set: endpoints,
    removed: [],
    ...(leftOut === undefined ? {} : { leftOut: { set: leftOut, removed: [] } })
  })),
  gone: []
})

/** Called with each change, when the view has it; the change follows the version there was before. */
export type ViewListener = (view: MeshView, change: ViewChange) => void

/** Where the request plane reads the view and hears of its changes. */
export interface MeshViewCell {
  readonly current: MeshView
  /** The listener is called synchronously; answers how to stop. */
  subscribe(listener: ViewListener): () => void
}

/** A change that does not follow the version at hand: one before it was lost, or it came twice. */
export class ViewOutOfStep extends Error {
  override readonly name = "ViewOutOfStep"

  constructor(held: number, { since, version }: ViewChange) {
    super(
      `the change of the mesh view from version ${since} to ${version} cannot be applied to version ${held}: one before it was lost, or it came twice; have the whole view sent`
    )
  }
}

/** A view that follows its changes. Only its owner applies them. */
export class MeshViewReplica implements MeshViewCell {
  readonly #view = { version: 0, services: new Map<ServiceName, ServiceView>() }
  readonly #listeners = new Set<ViewListener>()
  readonly current: MeshView = this.#view

  /**
   * @throws ViewOutOfStep when it does not follow; nothing has changed then. What a listener throws,
   * when all of them have heard.
   */
  apply(change: ViewChange): void {
    const { version, services } = this.#view
    if (change.since !== undefined && change.since !== version) {
      throw new ViewOutOfStep(version, change)
    }
    const step = change.since === undefined ? stepTo(this.#view, change) : change
    for (const name of step.gone) services.delete(name)
    for (const service of step.services) {
      services.set(service.name, changedService(services.get(service.name), service))
    }
    this.#view.version = change.version
    this.#tell(step)
  }

  /** A listener's bug is its own: the others hear of the change, which comes only once. */
  #tell(step: ViewChange): void {
    const failures: Array<unknown> = []
    for (const listener of this.#listeners) {
      try {
        listener(this.#view, step)
      } catch (cause) {
        failures.push(cause)
      }
    }
    if (failures.length > 0) throw failures[0]
  }

  subscribe(listener: ViewListener): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }
}

/** A replica whose owner says what there is, instead of what changes. */
export class MeshViewSource extends MeshViewReplica {
  set(services: ReadonlyMap<ServiceName, ServiceView>): void {
    this.apply(wholeView({ version: this.current.version + 1, services }))
  }
}

const keyOf = (endpoint: EndpointView): string => endpoint.key
const keyOfLeftOut = ({ endpoint }: LeftOut): string => endpoint.key

const changedService = (
  before: ServiceView | undefined,
  { name, protocol, set, removed, leftOut: change }: ServiceChange
): ServiceView => {
  const endpoints = changedByKey(before?.endpoints ?? [], set, removed, keyOf)
  const held = before?.leftOut ?? []
  const leftOut =
    change === undefined ? held : changedByKey(held, change.set, change.removed, keyOfLeftOut)
  return { name, protocol, endpoints, ...(leftOut.length === 0 ? {} : { leftOut }) }
}

/** Do they say the same? */
export const sameEndpoint = (a: EndpointView, b: EndpointView): boolean =>
  a === b ||
  (a.key === b.key &&
    a.node === b.node &&
    a.zone === b.zone &&
    a.healthy === b.healthy &&
    a.draining === b.draining &&
    a.member === b.member &&
    a.weight === b.weight &&
    a.local === b.local)

const sameLeftOut = (a: LeftOut, b: LeftOut): boolean =>
  a.protocol === b.protocol && sameEndpoint(a.endpoint, b.endpoint)

/** From what is held to a whole view: what is new in it, so that the rest keeps its objects. */
const stepTo = (held: MeshView, whole: ViewChange): ViewChange => {
  const gone = new Set(held.services.keys())
  const services = whole.services.flatMap((service): ReadonlyArray<ServiceChange> => {
    const { name, protocol } = service
    gone.delete(name)
    const before = held.services.get(name)
    if (before === undefined) return [service]
    const endpoints = difference(before.endpoints, service.set, keyOf, sameEndpoint)
    const leftOut = difference(
      before.leftOut ?? [],
      service.leftOut?.set ?? [],
      keyOfLeftOut,
      sameLeftOut
    )
    const same = protocol === before.protocol && isEmpty(endpoints)
    if (isEmpty(leftOut)) return same ? [] : [{ name, protocol, ...endpoints }]
    return [{ name, protocol, ...endpoints, leftOut }]
  })
  return { version: whole.version, since: held.version, services, gone: Array.from(gone) }
}

const isEmpty = (one: Pick<ServiceChange, "removed"> & { readonly set: ReadonlyArray<unknown> }) =>
  one.set.length === 0 && one.removed.length === 0

/** What makes `after` of `before`. */
export const difference = <A>(
  before: ReadonlyArray<A>,
  after: ReadonlyArray<A>,
  keyOf: (item: A) => string,
  same: (a: A, b: A) => boolean
): { readonly set: ReadonlyArray<A>; readonly removed: ReadonlyArray<string> } => {
  const held = new Map(before.map((item) => [keyOf(item), item]))
  const set: Array<A> = []
  for (const item of after) {
    const key = keyOf(item)
    const known = held.get(key)
    if (known === undefined || !same(known, item)) set.push(item)
    held.delete(key)
  }
  return { set, removed: Array.from(held.keys()) }
}
