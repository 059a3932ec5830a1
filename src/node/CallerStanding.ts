/**
 * What else there is to say of a call that the access rules judge: whether its node may speak for whom it
 * would call, which is looked at before any rule, and whether there are such a caller and such a service at all.
 * Pure, by what this node knows of the others.
 */
import type { Caller } from "../model/Caller.ts"
import type { NodeName, ServiceName } from "../model/Names.ts"
import { nearest } from "../model/NearestKey.ts"
import { maySpeakFor, type SessionFacts } from "../model/Session.ts"
import { whyNotSpeaking } from "../request/policy/SpeakingRights.ts"

/** A member, this node among them. */
export interface KnownNode {
  readonly node: NodeName
  /** Undefined: its certificate is not at hand. */
  readonly rights: SessionFacts | undefined
}

export interface CallerStanding {
  /** Why no rule is asked at all; undefined: they decide. */
  readonly refused: string | undefined
  /** What makes the decision worth less than it looks. */
  readonly notes: ReadonlyArray<string>
}

const meant = (word: string, known: ReadonlyArray<string>): string => {
  const near = nearest(word, known)
  return near === undefined || near === word ? "" : `; did you mean ${near}?`
}

/** Services that somebody may speak for, as far as certificates name them one by one. */
const namedIn = (nodes: ReadonlyArray<KnownNode>): ReadonlyArray<string> =>
  nodes
    .flatMap(({ rights }) => [...(rights?.services ?? []), ...(rights?.speaks ?? [])])
    .filter((pattern) => !pattern.endsWith("*"))

/** `host`: the node that it would come from, where that is said. */
export const standingOf = (
  caller: Caller,
  host: NodeName | undefined,
  to: ServiceName,
  nodes: ReadonlyArray<KnownNode>,
  offered: ReadonlySet<string>
): CallerStanding => {
  const names = nodes.map(({ node }) => node)
  const known = (name: string) => nodes.find(({ node }) => node === name)
  const notes: Array<string> = []
  let refused: string | undefined
  const unknown = (name: string) => notes.push(`no node ${name} is known here${meant(name, names)}`)
  if (caller.mesh !== undefined) {
    if (host !== undefined && known(host) !== undefined) {
      refused = `node ${host} is of this mesh, and speaks for nobody of another`
    }
  } else if (caller.kind === "host") {
    if (known(caller.name) === undefined) unknown(caller.name)
    if (host !== undefined && host !== caller.name) {
      refused = `node ${host} speaks for itself, host/${host}, and for no other host`
    }
  } else if (host === undefined) {
    const mays = nodes.filter(
      ({ rights }) => rights !== undefined && maySpeakFor(rights, caller.name)
    )
    if (mays.length === 0) {
      const all = [...namedIn(nodes), ...offered]
      notes.push(
        `no node that is known here may speak for ${caller.name}, so nobody can make this call${meant(caller.name, all)}`
      )
    }
  } else {
    const from = known(host)
    if (from === undefined) unknown(host)
    else if (from.rights === undefined) {
      notes.push(
        `the certificate of ${host} is not at hand, so it was not asked whether it may speak for ${caller.name}`
      )
    } else if (!maySpeakFor(from.rights, caller.name)) {
      refused = whyNotSpeaking(host, caller.name, from.rights)
    }
  }
  if (!offered.has(to)) {
    notes.push(`nobody offers ${to}, as far as this node knows${meant(to, [...offered])}`)
  }
  return { refused, notes }
}
