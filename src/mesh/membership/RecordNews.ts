/**
 * What membership has to be told of the catalogue. Of a record it cares for the owner's name, zone and
 * start, and whether it left: records of which only the services changed are no news.
 */
import type { PeerKey } from "../../model/Names.ts"
import type { NodeRecord } from "../../model/NodeRecord.ts"
import type { MemberRecord } from "./MemberRecords.ts"
import type { MembershipMessage } from "./MembershipMessages.ts"

/** At most as many as the catalogue has records. */
export class RecordNews {
  readonly #held = new Map<PeerKey, MemberRecord>()
  /** Not told yet. */
  readonly #changed = new Set<PeerKey>()
  #repeat = false

  get isEmpty(): boolean {
    return this.#held.size === 0
  }

  /** Is there anything to tell? */
  change(records: Iterable<NodeRecord>, gone: Iterable<PeerKey>): boolean {
    for (const { peer, name, zone, epoch, state } of records) {
      const left = state === "left"
      const held = this.#held.get(peer)
      const same = held?.name === name && held.zone === zone
      if (same && held.epoch === epoch && held.left === left) continue
      this.#held.set(peer, { peer, name, zone, epoch, left })
      this.#changed.add(peer)
    }
    for (const peer of gone) if (this.#held.delete(peer)) this.#changed.add(peer)
    return this.#changed.size > 0
  }

  /** All are to be told once more. */
  repeat(): void {
    this.#repeat = !this.isEmpty
  }

  all(): MembershipMessage {
    return { _tag: "Records", records: Array.from(this.#held.values()) }
  }

  /** What has not been told, which is told now; undefined: nothing. `whole`: all, if there is any. */
  take(whole: boolean): MembershipMessage | undefined {
    if (this.#changed.size === 0 && !this.#repeat) return undefined
    const peers = Array.from(this.#changed)
    this.#changed.clear()
    if (whole || this.#repeat) {
      this.#repeat = false
      return this.all()
    }
    const records = peers.flatMap((peer) => this.#held.get(peer) ?? [])
    const gone = peers.filter((peer) => !this.#held.has(peer))
    return { _tag: "RecordsChanged", records, gone }
  }
}
