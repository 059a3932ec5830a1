/** What an actor's program has of its own life, while its handlers are built and while they run. */
import { Context } from "effect"
import type { LivingActor } from "./ActivationHost.ts"
import type { ActorMemory, MemoryHost } from "./ActorMemory.ts"
import type { ShardGate } from "./ShardGate.ts"

export interface ActivationShape {
  readonly memory: ActorMemory
  readonly actor: LivingActor
  /** By what right it runs. */
  readonly gate: ShardGate
  readonly store: MemoryHost["store"]
  /** True: it stays in memory however long it is idle. */
  readonly keep: (kept: boolean) => void
}

export class CurrentActivation extends Context.Tag("skein/entity/CurrentActivation")<
  CurrentActivation,
  ActivationShape
>() {}
