/**
 * Whether the node a call comes from may speak for whom it says: its certificate decides, by what the
 * newest session with it told. A host may always speak as itself. Asked twice, where the call begins,
 * so that whoever configured it is told, and where it ends, which is what others can rely on.
 */
import type { Caller } from "../../model/Caller.ts"
import type { Call } from "../../model/Exchange.ts"
import type { Fault } from "../../model/Fault.ts"
import type { PeerKey } from "../../model/Names.ts"
import { matchesService, maySpeakFor, type SessionFacts } from "../../model/Session.ts"

export interface SpeakingRightsOptions {
  readonly self: { readonly peer: PeerKey; readonly node: string }
  /** What is known of another node's certificate; undefined: nothing, so it may speak for no service. */
  readonly factsOf: (peer: PeerKey) => SessionFacts | undefined
  /** What people call it. */
  readonly nameOf: (peer: PeerKey) => string
}

const nothing: SessionFacts = { services: [], speaks: [] }

/** Patterns in a message, at most. */
const maxShown = 8

/** For people: why this node may not say that it calls for that service. */
export const whyNotSpeaking = (
  node: string,
  service: string,
  { services, speaks, withheld = [] }: SessionFacts
): string => {
  if (withheld.some((pattern) => matchesService(pattern, service))) {
    return `node ${node} may not speak for ${service} any more: that was revoked`
  }
  const granted = [...services, ...speaks]
  const shown = granted.slice(0, maxShown).join(", ")
  const more = granted.length > maxShown ? ` and ${granted.length - maxShown} more` : ""
  const held = shown === "" ? "speaking for no service" : `speaking for ${shown}${more}`
  return `node ${node} may not speak for ${service}: its certificate grants ${held}; an invite with --as ${service} gives a node that right`
}

export class SpeakingRights {
  /** Of this node's own certificate. */
  own = nothing
  readonly #options: SpeakingRightsOptions
  /** Whom it let through last, and by what: calls come in rows. */
  #identity: Caller | undefined = undefined
  #facts: SessionFacts | undefined = undefined

  constructor(options: SpeakingRightsOptions) {
    this.#options = options
  }

  /** Undefined: it may. */
  readonly refusal = (call: Call): Fault | undefined => {
    const { caller, identity } = call
    if (identity.kind === "host") return undefined
    const { factsOf, self } = this.#options
    const facts = caller === self.peer ? this.own : (factsOf(caller) ?? nothing)
    if (identity === this.#identity && facts === this.#facts) return undefined
    if (identity.mesh === undefined && maySpeakFor(facts, identity.name)) {
      this.#identity = identity
      this.#facts = facts
      return undefined
    }
    return this.#denied(call, identity.name, facts)
  }

  #denied({ caller, service }: Call, name: string, facts: SessionFacts): Fault {
    const { nameOf, self } = this.#options
    return {
      code: "denied",
      message: whyNotSpeaking(nameOf(caller), name, facts),
      node: self.node,
      service,
      sent: false
    }
  }
}
