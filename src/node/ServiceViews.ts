/** Services and their endpoints, for people: as the view of the mesh has them, and as calls from here fared. */
import { Either } from "effect"
import { AdminNotFound } from "../admin/AdminError.ts"
import type { EndpointStatus, ServiceStatus } from "../admin/ServiceModel.ts"
import type { LeftOut, MeshViewCell, ServiceView } from "../model/MeshView.ts"
import type { ServiceName } from "../model/Names.ts"
import { byText } from "../model/TextOrder.ts"
import type { AskedRows } from "../request/PlaneQuestions.ts"
import type { RateMeter } from "./RateMeter.ts"
import { endpointRows, serviceRows } from "./ThreadRows.ts"

export interface ServiceViewsOptions {
  readonly view: MeshViewCell
  readonly meter: RateMeter
  /** Why there is no such service, where that is known. */
  readonly whyMissing: (service: ServiceName) => string | undefined
  /** Monotonic, ms. */
  readonly now: () => number
}

/** Of what the request threads have answered. */
export interface ServiceViews {
  /** By name. */
  readonly services: (answers: ReadonlyArray<AskedRows>) => ReadonlyArray<ServiceStatus>
  /** By place, those that are left out last. */
  readonly endpoints: (
    service: ServiceName,
    answers: ReadonlyArray<AskedRows>
  ) => Either.Either<ReadonlyArray<EndpointStatus>, AdminNotFound>
}

/** What each node says whose endpoints are left out of a service. */
const leftOutNodes = ({ leftOut = [] }: ServiceView): ServiceStatus["leftOut"] => {
  const said = new Map(leftOut.map(({ endpoint, protocol }) => [endpoint.node, protocol]))
  return Array.from(said, ([node, protocol]) => ({ node, protocol }))
}

/** Nobody calls it, so nothing is known but what its owner says. */
const leftOutStatus = ({ endpoint, protocol }: LeftOut): EndpointStatus => {
  const { key, node, peer, zone, local, healthy, draining, member, weight } = endpoint
  return {
    ...{ key, node, peer, endpoint: endpoint.endpoint, zone: zone ?? null, local, protocol },
    ...{ healthy, draining, member, weight, linked: true, breaker: null },
    ...{ state: "left_out", stateUntilAt: null, inUse: false, inUseDespite: null },
    ...{ ejectedUntilAt: null, inFlight: 0, ewmaMs: null, success: null, rps: 0 }
  }
}

/** As people look for them: by the names of nodes, and by the numbers in an instance's address. */
const byPlace = (a: EndpointStatus, b: EndpointStatus): number =>
  byText(a.node, b.node) ||
  byText(a.peer, b.peer) ||
  a.endpoint.localeCompare(b.endpoint, "en", { numeric: true })

export const makeServiceViews = ({
  meter,
  now,
  view,
  whyMissing
}: ServiceViewsOptions): ServiceViews => {
  const services: ServiceViews["services"] = (answers) => {
    const stats = serviceRows(answers)
    const at = now()
    return Array.from(view.current.services.values(), (service): ServiceStatus => {
      const one = stats.get(service.name)
      const called = one !== undefined && one.requests > 0
      return {
        name: service.name,
        protocol: service.protocol,
        leftOut: leftOutNodes(service),
        endpoints: {
          total: service.endpoints.length,
          healthy: service.endpoints.filter(
            ({ healthy, draining, member }) => healthy && !draining && member !== "dead"
          ).length,
          inUse: one?.selected ?? 0
        },
        panic: one?.panic ?? false,
        nodes: [...new Set(service.endpoints.map(({ node }) => node))].sort(),
        success: called ? one.successRate : null,
        rps: called ? meter.perSecond(at, service.name, one.requests) : 0,
        p50Ms: called ? one.p50 : null,
        p95Ms: called ? one.p95 : null,
        p99Ms: called ? one.p99 : null
      }
    }).sort((a, b) => byText(a.name, b.name))
  }

  const endpoints: ServiceViews["endpoints"] = (service, answers) => {
    const viewed = view.current.services.get(service)
    if (viewed === undefined) {
      const why = whyMissing(service)
      return Either.left(
        new AdminNotFound({
          code: "service_not_found",
          message: `no node of the mesh offers ${service}${why === undefined ? "" : `: ${why}`}`,
          hint:
            why === undefined
              ? "Check the spelling with `skein services`."
              : "See `skein doctor` for the mend."
        })
      )
    }
    const zones = new Map(viewed.endpoints.map(({ key, zone }) => [key, zone]))
    const at = now()
    const used = endpointRows(answers).map(
      (one): EndpointStatus => ({
        key: one.key,
        node: one.node,
        peer: one.peer,
        endpoint: one.endpoint,
        zone: zones.get(one.key) ?? null,
        local: one.local,
        protocol: viewed.protocol,
        healthy: one.healthy,
        draining: one.draining,
        member: one.member,
        weight: one.weight,
        breaker: one.breaker ?? "off",
        linked: one.linked,
        state: one.standing,
        stateUntilAt: one.standsUntil ?? null,
        inUse: one.selected,
        inUseDespite: one.despite ?? null,
        ejectedUntilAt: one.ejectedUntil ?? null,
        inFlight: one.inFlight,
        ewmaMs: one.ewma ?? null,
        success: one.requests === 0 ? null : 1 - one.failures / one.requests,
        rps: meter.perSecond(at, one.key, one.requests)
      })
    )
    return Either.right([
      ...used.sort(byPlace),
      ...(viewed.leftOut ?? []).map(leftOutStatus).sort(byPlace)
    ])
  }

  return { services, endpoints }
}
