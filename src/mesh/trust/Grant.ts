/**
/**
 * What somebody may do in the mesh: offer services, by pattern, speak for them in calls, and act by
 * capability. Grants only shrink on their way down a chain: nobody hands on more than it holds.
 *
 * A later version may grant what this one does not know, and what a right is handed on by stays the
 * same in all versions: a capability is a name, and who signs for it holds it by that name; a pattern
 * of an unknown form lies within the same text, or within `*`. So old and new nodes believe the same
 * chains, and a node that renews another's certificate keeps in it what it cannot use itself.
 */
import { Schema } from "effect"
import type { ServiceName } from "../../model/Names.ts"
import { matchesService } from "../../model/Session.ts"
import { ServicePattern } from "../../schema/ServicePattern.ts"

/** Patterns in one grant. */
export const maxPatterns = 64

/** A pattern as some version may write it: printable, without blanks. */
const AnyPattern = Schema.String.pipe(Schema.pattern(/^[!-~]{1,128}$/))

/**
 * `admit`: let others in and renew certificates. `policy`: set mesh-wide policies. `revoke`: throw
 * members out.
 */
export const Capability = Schema.Literal("admit", "policy", "revoke")
export type Capability = typeof Capability.Type

/** Capabilities in one grant. */
export const maxCapabilities = 16

/** The name of a capability, known here or not. */
const CapabilityName = Schema.String.pipe(Schema.pattern(/^[a-z][a-z0-9-]{0,31}$/))

const anyPatterns = Schema.Array(AnyPattern).pipe(Schema.maxItems(maxPatterns))

/** The fields of a grant as signed statements carry them, from whichever version. */
export const grantFields = {
  services: anyPatterns,
  capabilities: Schema.Array(CapabilityName).pipe(Schema.maxItems(maxCapabilities)),
  /**
   * Services that the holder may speak for beside those it may offer, and which it need not offer.
   * Absent, as in all that was signed before there was such a right: none.
   */
  speaks: Schema.optional(anyPatterns)
}

export const Grant = Schema.Struct(grantFields)
export type Grant = typeof Grant.Type

export const requestPatterns = Schema.Array(ServicePattern).pipe(Schema.maxItems(maxPatterns))

/** The fields of a grant that is asked for here: nothing that this version does not know. */
export const requestFields = {
  services: requestPatterns,
  capabilities: Schema.Array(Capability).pipe(Schema.maxItems(Capability.literals.length)),
  speaks: Schema.optional(requestPatterns)
}

export const GrantRequest = Schema.Struct(requestFields)

/** What may be handed on. `all`: by the root, of later versions' capabilities, too. */
export interface Holding {
  readonly services: ReadonlyArray<string>
  readonly speaks?: ReadonlyArray<string> | undefined
  readonly capabilities: ReadonlyArray<string> | "all"
}

/** Every right that this version knows: what the first node of a mesh is granted. */
export const everything: Grant = { services: ["*"], capabilities: Capability.literals }

/** The grant alone, as it is signed: without what it does not grant, so that others can read it too. */
export const grantOf = ({ services, capabilities, speaks = [] }: Grant): Grant =>
  speaks.length === 0 ? { services, capabilities } : { services, capabilities, speaks }

/** What the root holds. */
export const rootHolding: Holding = { services: ["*"], capabilities: "all" }

const isKnownPattern = Schema.is(ServicePattern)

const prefixOf = (pattern: string): string | undefined =>
  pattern.endsWith("*") ? pattern.slice(0, -1) : undefined

/** Every name `inner` matches, `outer` matches too. */
export const patternCovers = (outer: string, inner: string): boolean => {
  if (outer === inner || outer === "*") return true
  // What an unknown form matches is for those to say who know it.
  if (!isKnownPattern(outer) || !isKnownPattern(inner)) return false
  const innerPrefix = prefixOf(inner)
  if (innerPrefix === undefined) return matchesService(outer, inner)
  const outerPrefix = prefixOf(outer)
  return outerPrefix !== undefined && innerPrefix.startsWith(outerPrefix)
}

/**
 * The parts of `wanted` that `held` does not cover, as people write them; empty when all are. Each
 * wanted pattern must lie within a single held one: `shop-*` is not the sum of finer patterns.
 */
export const uncovered = (held: Holding, wanted: Grant): ReadonlyArray<string> => [
  ...wanted.services
    .filter((inner) => !held.services.some((outer) => patternCovers(outer, inner)))
    .map((pattern) => `service ${pattern}`),
  ...(wanted.speaks ?? [])
    .filter((inner) => !spokenFor(held).some((outer) => patternCovers(outer, inner)))
    .map((pattern) => `speaking for ${pattern}`),
  ...wanted.capabilities
    .filter((capability) => held.capabilities !== "all" && !held.capabilities.includes(capability))
    .map((capability) => `capability ${capability}`)
]

/** Who may offer a service may speak for it. */
const spokenFor = ({ services, speaks = [] }: Holding): ReadonlyArray<string> => [
  ...services,
  ...speaks
]

/** May the holder offer this service? */
export const grantsService = (grant: Pick<Grant, "services">, service: ServiceName): boolean =>
  grant.services.some((pattern) => matchesService(pattern, service) && isKnownPattern(pattern))

export const grantsCapability = (
  grant: Pick<Holding, "capabilities">,
  capability: Capability
): boolean => grant.capabilities === "all" || grant.capabilities.includes(capability)
