/**
 * What this host offers: keeps the inbound stack, the health checks and the node's own record in
 * step with the config and with what the checks find.
 */
import { Effect, Runtime, type Scope } from "effect"
import type { NodeConfig } from "../config/NodeConfig.ts"
import type { CatalogueShape } from "../mesh/catalogue/CatalogueService.ts"
import type { HealthChecker, HealthCheckerOptions } from "../mesh/health/HealthChecker.ts"
import type { LocalService } from "../model/LocalService.ts"
import type { ServiceName } from "../model/Names.ts"
import { EndpointHealth, localServices, serviceEntries } from "./LocalServices.ts"
import { type NodeOffer, withPrograms } from "./ProgramServices.ts"

export interface OfferOptions {
  /** The request threads, which serve it. */
  readonly inbound: {
    readonly setServices: (services: ReadonlyArray<LocalService>) => void
    readonly setHealth: (
      service: ServiceName,
      endpoint: string,
      healthy: boolean,
      reason: string
    ) => void
  }
  readonly catalogue: Pick<CatalogueShape, "updateOwn">
  /** Where others dial this node. Told together with the services: neither is of use alone. */
  readonly addresses: () => ReadonlyArray<string>
  readonly makeHealthChecker: (
    options: HealthCheckerOptions
  ) => Effect.Effect<HealthChecker, never, Scope.Scope>
  /** What programs serve by themselves at the start. Default: nothing. */
  readonly programs?: ReadonlyArray<NodeOffer> | undefined
}

export interface Offer {
  /** Done when the mesh has been told. */
  readonly follow: (config: NodeConfig) => Effect.Effect<void>
  /**
   * All that programs serve by themselves. Done when the mesh has been told; before the first `follow`
   * it is told nothing.
   */
  readonly serve: (programs: ReadonlyArray<NodeOffer>) => Effect.Effect<void>
  /** What is, or is about to be, offered with this config. */
  readonly services: (config: NodeConfig) => ReadonlyArray<LocalService>
}

export const makeOffer = (options: OfferOptions): Effect.Effect<Offer, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { inbound, catalogue } = options
    const runtime = yield* Effect.runtime<never>()
    const scope = yield* Effect.scope
    const health = new EndpointHealth()
    const turns = yield* Effect.makeSemaphore(1)
    let services: ReadonlyArray<LocalService> = []
    let programs = options.programs ?? []
    let config: NodeConfig | undefined

    const publish = Effect.suspend(() =>
      catalogue.updateOwn({
        addresses: options.addresses(),
        services: serviceEntries(services, health)
      })
    ).pipe(
      Effect.catchAll(({ message }) =>
        Effect.logError(`the mesh was not told what this node offers: ${message}`)
      ),
      Effect.asVoid
    )

    const checker = yield* options.makeHealthChecker({
      onChange: (service, endpoint, healthy, reason) => {
        health.set(service, endpoint, healthy)
        inbound.setHealth(service, endpoint, healthy, reason)
        const now = healthy ? "healthy" : `unhealthy: ${reason}`
        Runtime.runFork(runtime)(
          Effect.zipRight(Effect.logInfo(`${service} at ${endpoint} is ${now}`), publish),
          { scope }
        )
      }
    })

    const change = Effect.gen(function* () {
      if (config === undefined) return
      const before = services
      services = withPrograms(localServices(config), programs)
      health.keep(services)
      // New endpoints are served before they are told, and told to be gone before they are.
      inbound.setServices([...merged(services, before)])
      yield* checker.setServices(services)
      yield* publish
      inbound.setServices(services)
    }).pipe(turns.withPermits(1))

    return {
      follow: (next) =>
        Effect.suspend(() => {
          config = next
          return change
        }),
      serve: (next) =>
        Effect.suspend(() => {
          programs = next
          return change
        }),
      services: (asked) => withPrograms(localServices(asked), programs)
    }
  })

/** The new services, and with them for a moment the endpoints that are about to go. */
const merged = (
  next: ReadonlyArray<LocalService>,
  before: ReadonlyArray<LocalService>
): ReadonlyArray<LocalService> => {
  const both = next.map((service) => {
    const old = before.find(({ name }) => name === service.name)
    const going = (old?.endpoints ?? []).filter(
      ({ id }) => !service.endpoints.some((endpoint) => endpoint.id === id)
    )
    return { ...service, endpoints: [...service.endpoints, ...going] }
  })
  return [...both, ...before.filter(({ name }) => !next.some((service) => service.name === name))]
}
