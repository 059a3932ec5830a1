/** Which shards are run on this host, and by what right. */
import type { ActorAddress } from "./ActorAddress.ts"
import type { Handed } from "./HandedState.ts"
import type { NotEntered } from "./OwnedShards.ts"
import type { Lease } from "./store/ActorStore.ts"

/** Which shards are run here. */
export interface ShardGate {
  readonly isOpen: (shard: number) => boolean
  /** Calls back once: with nothing when it is open, else with why not. At once where that is known. */
  readonly enter: (shard: number, then: (why: NotEntered | undefined) => void) => void
  /** Whose shard it is, as this host sees it: key of an endpoint. */
  readonly owner: (shard: number) => string | undefined
  /** Name of the host whose shard it is, as this one sees it. */
  readonly ownerName: (shard: number) => string | undefined
  /** Name of this host. */
  readonly node: () => string
  /** Under which its actors save, if there is one; undefined: they need none. */
  readonly lease: ((shard: number) => Lease | undefined) | undefined
  /** May an answer that no save stands behind leave now? */
  readonly mayAnswer: (shard: number) => boolean
  /** To the host that has it now; undefined: nobody could be given anything. */
  readonly give?: ((address: ActorAddress, handed: Handed) => void) | undefined
  /** A save of one of its actors was refused: the shard is another's. */
  readonly fenced: (shard: number) => void
}

/** Where there is no mesh, everything is here. */
export const openGate: ShardGate = {
  isOpen: () => true,
  enter: (_, then) => then(undefined),
  owner: () => undefined,
  ownerName: () => undefined,
  node: () => "local",
  lease: undefined,
  mayAnswer: () => true,
  fenced: () => undefined
}
