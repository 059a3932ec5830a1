/**
 * What somebody may do in the mesh: offer services, by pattern, and act by capability. Grants
 * only shrink on their way down a chain: nobody hands on more than it holds.
 */
import { Schema } from "effect"
import type { ServiceName } from "../../model/Names.ts"

/** Patterns in one grant. */
export const maxPatterns = 64

/** `payments` (that one), `shop-*` (every name that starts so) or `*` (all). */
export const ServicePattern = Schema.String.pipe(
  Schema.pattern(/^(\*|[a-z0-9][a-z0-9-]{0,61}\*|[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)$/, {
    message: (issue) =>
      `${JSON.stringify(issue.actual)} is not a service pattern; write a service name, a prefix with '*' like shop-*, or *`
  })
)

/**
 * `admit`: let others in and renew certificates. `policy`: set mesh-wide policies. `revoke`: throw
 * members out.
 */
export const Capability = Schema.Literal("admit", "policy", "revoke")
export type Capability = typeof Capability.Type

/** The fields of a grant, for schemas that carry one. */
export const grantFields = {
  services: Schema.Array(ServicePattern).pipe(Schema.maxItems(maxPatterns)),
  capabilities: Schema.Array(Capability).pipe(Schema.maxItems(3))
}

export const Grant = Schema.Struct(grantFields)
export type Grant = typeof Grant.Type

/** What the root holds. */
export const everything: Grant = { services: ["*"], capabilities: ["admit", "policy", "revoke"] }

const prefixOf = (pattern: string): string | undefined =>
  pattern.endsWith("*") ? pattern.slice(0, -1) : undefined

const matches = (pattern: string, service: string): boolean => {
  const prefix = prefixOf(pattern)
  return prefix === undefined ? pattern === service : service.startsWith(prefix)
}

/** Every name `inner` matches, `outer` matches too. */
const patternCovers = (outer: string, inner: string): boolean => {
  const innerPrefix = prefixOf(inner)
  if (innerPrefix === undefined) return matches(outer, inner)
  const outerPrefix = prefixOf(outer)
  return outerPrefix !== undefined && innerPrefix.startsWith(outerPrefix)
}

/**
 * The parts of `wanted` that `held` does not cover, as people write them; empty when all are. Each
 * wanted pattern must lie within a single held one: `shop-*` is not the sum of finer patterns.
 */
export const uncovered = (held: Grant, wanted: Grant): ReadonlyArray<string> => [
  ...wanted.services
    .filter((inner) => !held.services.some((outer) => patternCovers(outer, inner)))
    .map((pattern) => `service ${pattern}`),
  ...wanted.capabilities
    .filter((capability) => !held.capabilities.includes(capability))
    .map((capability) => `capability ${capability}`)
]

/** May the holder offer this service? */
export const grantsService = (grant: Pick<Grant, "services">, service: ServiceName): boolean =>
  grant.services.some((pattern) => matches(pattern, service))

export const grantsCapability = (
  grant: Pick<Grant, "capabilities">,
  capability: Capability
): boolean => grant.capabilities.includes(capability)
