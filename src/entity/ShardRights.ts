/** What it takes to run a shard, besides that it is this host's: nothing, or a lease (ShardLeases.ts). */
export interface ShardRights {
  /** Calls back when it may be run; never, if that does not come to pass. Again: it may be had by now. */
  readonly take: (shard: number, then: () => void) => void
  /** May something be begun in it now? */
  readonly may: (shard: number) => boolean
  /**
   * Nothing runs in it any more, and nothing is to: what there is of the right to run it goes back. Calls back when
   * another host may have it; at once where there was none, and after a while in any case.
   */
  readonly give: (shard: number, then: () => void) => void
}

/** Nobody is asked. */
export const noRights: ShardRights = {
  take: (_, then) => then(),
  may: () => true,
  give: (_, then) => then()
}
