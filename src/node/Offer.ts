/**
 * What this host offers: keeps the inbound stack, the health checks and the node's own record in
 * step with the config and with what the checks find.
 */
import { Effect, Runtime, type Scope } from "effect"
import type { NodeConfig } from "../config/NodeConfig.ts"
import type { CatalogueShape } from "../mesh/catalogue/CatalogueService.ts"
import type { HealthChecker, HealthCheckerOptions } from "../mesh/health/HealthChecker.ts"
import type { LocalService } from "../model/LocalService.ts"
import type { Inbound } from "../request/inbound/Inbound.ts"
import { EndpointHealth, localServices, serviceEntries } from "./LocalServices.ts"

export interface OfferOptions {
  readonly inbound: Pick<Inbound, "setServices" | "setHealth">
  readonly catalogue: Pick<CatalogueShape, "updateOwn">
  /** Where others dial this node. Told together with the services: neither is of use alone. */
  readonly addresses: () => ReadonlyArray<string>
  readonly makeHealthChecker: (
    options: HealthCheckerOptions
  ) => Effect.Effect<HealthChecker, never, Scope.Scope>
}

export interface Offer {
  /** Done when the mesh has been told. */
  readonly follow: (config: NodeConfig) => Effect.Effect<void>
}

export const makeOffer = (options: OfferOptions): Effect.Effect<Offer, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { inbound, catalogue } = options
    const runtime = yield* Effect.runtime<never>()
    const scope = yield* Effect.scope
    const health = new EndpointHealth()
    let services: ReadonlyArray<LocalService> = []

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

    return {
      follow: (config) =>
        Effect.gen(function* () {
          const before = services
          services = localServices(config)
          health.keep(services)
          // New endpoints are served before they are told, and told to be gone before they are.
          inbound.setServices([...merged(services, before)])
          yield* checker.setServices(services)
          yield* publish
          inbound.setServices(services)
        })
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
