/**
 * What it takes from a node, as far as is known here, when a service is revoked. It may be nothing: the name may
 * be a wrong one, or a grant that only others know of.
 */
import { patternCovers } from "../mesh/trust/Grant.ts"
import { matchesService, type SessionFacts } from "../model/Session.ts"

export interface GrantMatch {
  /** Patterns that the certificate grants, to offer or to speak for, and those of them that are concerned. */
  readonly granted: ReadonlyArray<string>
  readonly taken: ReadonlyArray<string>
  /** Services that the node offers, and those of them that are concerned. */
  readonly offered: ReadonlyArray<string>
  readonly withdrawn: ReadonlyArray<string>
}

/** `offered`: as its record says. */
export const matchGrant = (
  pattern: string,
  {
    services,
    speaks
  }: Pick<SessionFacts, "services"> & { readonly speaks?: SessionFacts["speaks"] | undefined },
  offered: ReadonlyArray<string>
): GrantMatch => {
  const granted = [...new Set([...services, ...(speaks ?? [])])]
  return {
    granted,
    // Of two patterns that have a service in common one lies within the other.
    taken: granted.filter((one) => patternCovers(one, pattern) || patternCovers(pattern, one)),
    offered,
    withdrawn: offered.filter((service) => matchesService(pattern, service))
  }
}
