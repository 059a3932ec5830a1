import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import {
  type EndpointView,
  type LeftOut,
  MeshViewReplica,
  MeshViewSource,
  type ServiceView,
  type ViewChange,
  ViewOutOfStep,
  wholeView
} from "./MeshView.ts"
import { NodeName, PeerKey, ServiceName } from "./Names.ts"

const payments = ServiceName.make("payments")
const orders = ServiceName.make("orders")
const peers = ["1", "2", "3"].map((n) => PeerKey.make(`12D3KooWPeerPeerPeer${n}`))

const endpoint = (
  service: ServiceName,
  n: number,
  change: Partial<EndpointView> = {}
): EndpointView => ({
  key: `${peers[n]}/${service}/0`,
  peer: peers[n]!,
  node: NodeName.make(`host-${n}`),
  zone: undefined,
  endpoint: "0",
  healthy: true,
  draining: false,
  member: "alive",
  weight: 100,
  local: false,
  ...change
})

const serviceOf = (
  name: ServiceName,
  endpoints: ReadonlyArray<EndpointView>,
  leftOut: ReadonlyArray<LeftOut> = []
): ServiceView => ({
  name,
  protocol: "http",
  endpoints,
  ...(leftOut.length === 0 ? {} : { leftOut })
})

const mapOf = (...services: ReadonlyArray<ServiceView>) =>
  new Map(services.map((service) => [service.name, service]))

describe("a replica of the view", () => {
  const step: ViewChange = {
    version: 2,
    since: 1,
    services: [
      {
        name: payments,
        protocol: "http",
        set: [endpoint(payments, 0, { healthy: false }), endpoint(payments, 2)],
        removed: [`${peers[1]}/payments/0`]
      }
    ],
    gone: [orders]
  }
  const begun = () => {
    const replica = new MeshViewReplica()
    const services = mapOf(
      serviceOf(payments, [endpoint(payments, 0), endpoint(payments, 1)]),
      serviceOf(orders, [endpoint(orders, 1)])
    )
    replica.apply(wholeView({ version: 1, services }))
    return replica
  }

  it("begins with a whole view and follows its changes", () => {
    const replica = begun()
    expect(replica.current.version).toBe(1)
    replica.apply(step)
    expect(replica.current.version).toBe(2)
    expect([...replica.current.services.values()]).toEqual([
      serviceOf(payments, [endpoint(payments, 0, { healthy: false }), endpoint(payments, 2)])
    ])
  })

  it("leaves what somebody holds of a service as it was", () => {
    const replica = begun()
    const held = replica.current.services.get(payments)!
    const said = structuredClone(held)
    replica.apply(step)
    expect(held).toEqual(said)
    expect(replica.current.services.get(payments)).not.toBe(held)
  })

  it("tells its listeners what changed, once it has it, until they stop", () => {
    const replica = begun()
    const told: Array<readonly [number, ViewChange]> = []
    const stop = replica.subscribe((view, change) => {
      expect(view).toBe(replica.current)
      told.push([view.services.size, change])
    })
    replica.apply(step)
    expect(told).toEqual([[1, step]])
    stop()
    replica.apply({ version: 3, since: 2, services: [], gone: [payments] })
    expect(told.length).toBe(1)
    expect(replica.current.services.size).toBe(0)
  })

  it("refuses a change that does not follow, and stays as it is", () => {
    const replica = begun()
    const told: Array<ViewChange> = []
    replica.subscribe((_, change) => told.push(change))
    for (const since of [0, 2]) {
      expect(() => replica.apply({ ...step, since, version: since + 1 })).toThrow(ViewOutOfStep)
    }
    expect(() => replica.apply({ ...step, since: 5, version: 6 })).toThrow(
      "the change of the mesh view from version 5 to 6 cannot be applied to version 1: one before it was lost, or it came twice; have the whole view sent"
    )
    expect(replica.current.version).toBe(1)
    expect(replica.current.services.size).toBe(2)
    expect(told).toEqual([])
    replica.apply(step)
    expect(told).toEqual([step])
  })

  it("tells everybody, though one of them fails", () => {
    const replica = begun()
    let told = 0
    replica.subscribe(() => {
      throw new Error("a bug")
    })
    replica.subscribe(() => told++)
    expect(() => replica.apply(step)).toThrow("a bug")
    expect([told, replica.current.version]).toEqual([1, 2])
  })

  it("takes a whole view at any time, and tells only what is new in it", () => {
    const replica = begun()
    const told: Array<ViewChange> = []
    replica.subscribe((_, change) => told.push(change))
    const held = replica.current.services.get(orders)
    const lost = endpoint(payments, 1)
    const out = { protocol: "tcp" as const, endpoint: endpoint(payments, 2) }
    const now = mapOf(
      serviceOf(payments, [endpoint(payments, 0, { weight: 5 })], [out]),
      serviceOf(orders, [endpoint(orders, 1)])
    )
    replica.apply(structuredClone(wholeView({ version: 9, services: now })))
    expect(told).toEqual([
      {
        version: 9,
        since: 1,
        services: [
          {
            name: payments,
            protocol: "http",
            set: [endpoint(payments, 0, { weight: 5 })],
            removed: [lost.key],
            leftOut: { set: [out], removed: [] }
          }
        ],
        gone: []
      }
    ])
    expect(replica.current.services.get(orders)).toBe(held)
    expect(new Map(replica.current.services)).toEqual(now)
    replica.apply(wholeView({ version: 10, services: mapOf() }))
    expect(told[1]).toEqual({ version: 10, since: 9, services: [], gone: [payments, orders] })
  })
})

const anyService = (name: ServiceName) =>
  fc
    .array(fc.record({ weight: fc.integer({ min: 1, max: 3 }), out: fc.boolean() }), {
      maxLength: 40
    })
    .chain((sayings) =>
      fc.record({
        protocol: fc.constantFrom("http" as const, "tcp" as const),
        there: fc.subarray(sayings.map((said, n) => ({ ...said, n })))
      })
    )
    .map(({ protocol, there }): ServiceView => {
      const of = (n: number, weight: number) => ({
        ...endpoint(name, 0, { weight }),
        key: `${peers[0]}/${name}/${String(n).padStart(3, "0")}`
      })
      const endpoints = there.filter(({ out }) => !out).map(({ n, weight }) => of(n, weight))
      const leftOut = there
        .filter(({ out }) => out)
        .map(({ n, weight }) => ({ protocol: "grpc" as const, endpoint: of(n, weight) }))
      return { ...serviceOf(name, endpoints, leftOut), protocol }
    })

const anyServices = fc
  .tuple(anyService(payments), anyService(orders), fc.subarray([payments, orders]))
  .map(([one, two, kept]) => mapOf(...[one, two].filter(({ name }) => kept.includes(name))))

it("one that follows the changes of another has the same, and what was held stays", () => {
  fc.assert(
    fc.property(fc.array(anyServices, { maxLength: 8 }), (views) => {
      const source = new MeshViewSource()
      const replica = new MeshViewReplica()
      source.subscribe((_, change) => replica.apply(structuredClone(change)))
      const held: Array<readonly [ServiceView, ServiceView]> = []
      for (const services of views) {
        source.set(services)
        expect(new Map(source.current.services)).toEqual(services)
        expect(new Map(replica.current.services)).toEqual(services)
        expect(replica.current.version).toBe(source.current.version)
        for (const service of replica.current.services.values()) {
          held.push([service, structuredClone(service)])
        }
      }
      for (const [service, said] of held) expect(service).toEqual(said)
    })
  )
})
