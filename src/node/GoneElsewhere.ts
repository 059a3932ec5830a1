/**
 * Ephemeral nodes that this one still holds, and others have forgotten: it was away when they died, and nobody
 * says a second time that they are dead. Two members who say so are believed, as nobody is by itself; where
 * there is but one, that one. Who is wrongly said to be gone is back with its next record.
 */
import type { GoneVersion } from "../mesh/catalogue/AntiEntropy.ts"
import { isUpTo, nodeKey } from "../mesh/catalogue/RecordEntry.ts"
import type { PeerKey } from "../model/Names.ts"
import type { NodeRecord } from "../model/NodeRecord.ts"

/** Members that have to say so. */
const enough = 2

/** Nodes that are spoken of; of further ones nothing is noted until others are over. */
const maxSpokenOf = 4_096

/** So long a word counts, ms: as long as those who say it keep to it. */
const wordFor = 300_000

interface Word {
  readonly upTo: GoneVersion
  readonly until: number
}

export class GoneElsewhere {
  readonly #now: () => number
  /** By the key of the record, and who says so. */
  readonly #words = new Map<string, Map<PeerKey, Word>>()

  /** A clock that only goes forward, ms. */
  constructor(now: () => number) {
    this.#now = now
  }

  /** In a comparison of catalogues. */
  readonly hear = (by: PeerKey, versions: ReadonlyArray<GoneVersion>): void => {
    const now = this.#now()
    if (this.#words.size >= maxSpokenOf) this.#dropOver(now)
    for (const upTo of versions) {
      const said = this.#words.get(upTo.key) ?? new Map<PeerKey, Word>()
      if (said.size === 0 && this.#words.size >= maxSpokenOf) continue
      said.delete(by)
      const [oldest] = said.keys()
      if (said.size >= enough && oldest !== undefined) said.delete(oldest)
      said.set(by, { upTo, until: now + wordFor })
      this.#words.set(upTo.key, said)
    }
  }

  /** Is this record given up by as many as it takes? `others`: members that are there, beside this node and it. */
  isGone(record: Pick<NodeRecord, "peer" | "epoch" | "version">, others: number): boolean {
    const said = this.#words.get(nodeKey(record.peer))
    if (said === undefined || others === 0) return false
    const now = this.#now()
    const words = [...said.values()].filter(
      ({ until, upTo }) => until > now && isUpTo(record, upTo)
    )
    return words.length >= Math.min(enough, others)
  }

  #dropOver(now: number): void {
    for (const [key, said] of this.#words) {
      if ([...said.values()].every(({ until }) => until <= now)) this.#words.delete(key)
    }
  }
}
