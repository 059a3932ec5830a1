/** Asks a store of actors all the time whether it is there, until the scope closes. */
import { Effect, Option, type Scope } from "effect"
import type { ActorStoreShape } from "./ActorStore.ts"
import { type ReachTimes, reachTimes, StoreReach } from "./StoreReach.ts"

export interface StoreWatch {
  /** For so long that it counts, the store is out of this host's reach. */
  readonly isLost: boolean
  /** Why the store does not answer at the moment; undefined: it does. */
  readonly trouble: string | undefined
  /** Calls back when `isLost` has changed; returns how to stop. */
  readonly onChange: (then: () => void) => () => void
}

export interface StoreWatchOptions {
  readonly store: Pick<ActorStoreShape, "leases">
  /** Of this type its leases are asked for: any one will do. */
  readonly type: string
  readonly times?: ReachTimes
}

/** Done when the store has answered for the first time, or has not in time. */
export const watchStore = (
  options: StoreWatchOptions
): Effect.Effect<StoreWatch, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { store, times = reachTimes, type } = options
    const clock = yield* Effect.clock
    const now = (): number => Number(clock.unsafeCurrentTimeNanos()) / 1e6
    const reach = new StoreReach(times)
    const listeners = new Set<() => void>()
    const ask: Effect.Effect<string | undefined> = store.leases(type).pipe(
      Effect.as(undefined),
      Effect.catchAll(({ message }) => Effect.succeed(message)),
      Effect.disconnect,
      Effect.timeoutOption(times.patience),
      Effect.map(Option.getOrElse(() => `it has not answered within ${times.patience / 1_000} s`))
    )
    const look = Effect.gen(function* () {
      const asked = now()
      const trouble = yield* ask
      if (!reach.told(trouble, asked, now())) return
      yield* reach.isLost
        ? Effect.logWarning(
            `this host does not reach the store of its actors: ${trouble}. It says so to the mesh, so that its actors begin on hosts that do, and takes them back when it has reached it for ${times.back / 1_000} s`
          )
        : Effect.logInfo("this host reaches the store of its actors again, and takes them back")
      for (const then of [...listeners]) then()
    })
    const first = yield* ask
    if (first !== undefined) {
      reach.beginsLost(first)
      yield* Effect.logWarning(
        `this host does not reach the store of its actors: ${first}. It takes none from hosts that do until it has reached it for ${times.back / 1_000} s; where no host does, those of eventual types begin that need nothing of the store`
      )
    }
    yield* Effect.sleep(times.every).pipe(
      Effect.zipRight(look),
      Effect.forever,
      Effect.interruptible,
      Effect.forkScoped
    )
    return {
      get isLost() {
        return reach.isLost
      },
      get trouble() {
        return reach.trouble
      },
      onChange: (then) => {
        listeners.add(then)
        return () => {
          listeners.delete(then)
        }
      }
    }
  })
