/** What an actor's program has of its own life, while its handlers are built and while they run. */
import { Context } from "effect"
import type { ActorMemory } from "./ActorMemory.ts"

export class CurrentActivation extends Context.Tag("skein/entity/CurrentActivation")<
  CurrentActivation,
  {
    readonly memory: ActorMemory
    /** True: it stays in memory however long it is idle. */
    readonly keep: (kept: boolean) => void
  }
>() {}
