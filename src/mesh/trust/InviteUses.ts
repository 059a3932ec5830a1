/**
 * How often tokens were used that only so many hosts may use. What this node counts is known at once;
 * what others count comes with the mesh's settings, so nodes that do not hear each other may let in
 * more than one of them would: that is found when they do.
 */
import type { NodeName, PeerKey } from "../../model/Names.ts"
import type { InviteUse } from "../../schema/UsesSchema.ts"

/** A token with more uses than it has. */
export interface OverusedInvite {
  readonly invite: string
  readonly limit: number
  /** All that came with it, the first first. */
  readonly nodes: ReadonlyArray<NodeName>
}

/**
 * Own uses that the mesh's settings do not hold yet. With so many of them nobody is let in with such a token:
 * what is not counted could be used without end.
 */
const maxPending = 1_024

export class InviteUses {
  /** By invite, then by peer: the earliest there is. */
  #told = new Map<string, Map<PeerKey, InviteUse>>()
  readonly #pending = new Map<string, InviteUse>()

  /** What the settings of all nodes say now. */
  follow(uses: Iterable<InviteUse>): void {
    this.#told = new Map()
    for (const use of uses) {
      this.#add(this.#told, use)
      this.#pending.delete(keyOf(use))
    }
  }

  /** May this peer come in with it? Who has used it once may again: it may not have heard the answer. */
  mayUse(invite: string, limit: number, peer: PeerKey): boolean {
    const users = new Set(this.#told.get(invite)?.keys())
    for (const use of this.#pending.values()) if (use.invite === invite) users.add(use.peer)
    return users.has(peer) || (users.size < limit && this.#pending.size < maxPending)
  }

  /** Counts it from now on. False: it is counted already. */
  use(use: InviteUse): boolean {
    if (this.#told.get(use.invite)?.has(use.peer) || this.#pending.has(keyOf(use))) return false
    this.#pending.set(keyOf(use), use)
    return true
  }

  /** Counted here and not told by the mesh's settings, the first first. */
  get pending(): ReadonlyArray<InviteUse> {
    return [...this.#pending.values()]
  }

  /** Those that wait to be told, and whose token had ended by then, are counted no longer. */
  letGo(before: number): void {
    for (const [key, { until }] of this.#pending) if (until <= before) this.#pending.delete(key)
  }

  overused(): ReadonlyArray<OverusedInvite> {
    return Array.from(this.#told, ([invite, users]) => {
      const uses = Array.from(users.values()).sort((a, b) => a.at - b.at)
      return {
        invite,
        limit: Math.min(...uses.map(({ limit }) => limit)),
        nodes: uses.map(({ name }) => name)
      }
    }).filter(({ limit, nodes }) => nodes.length > limit)
  }

  #add(table: Map<string, Map<PeerKey, InviteUse>>, use: InviteUse): void {
    const users = table.get(use.invite) ?? new Map<PeerKey, InviteUse>()
    const known = users.get(use.peer)
    if (known === undefined || use.at < known.at) users.set(use.peer, use)
    table.set(use.invite, users)
  }
}

const keyOf = ({ invite, peer }: InviteUse): string => `${invite}/${peer}`
