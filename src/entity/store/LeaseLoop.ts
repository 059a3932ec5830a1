/** Runs a LeaseKeeper: carries its requests to the store, and its news to who runs the actors. */
import { Effect, FiberSet, Option, Random, type Scope } from "effect"
import { PCGRandom } from "effect/Utils"
import { ActorStore, type Lease, type OwnerId, type Shard } from "./ActorStore.ts"
import { LeaseKeeper } from "./LeaseKeeper.ts"
import {
  defaultLeaseTimes,
  type LeaseNews,
  type LeaseRequest,
  type LeaseTimes
} from "./LeaseStep.ts"
import { shardText } from "./StoreAnswer.ts"
import type { StoreUnavailable } from "./StoreError.ts"

export interface LeaseLoopOptions {
  readonly owner: OwnerId
  readonly times?: LeaseTimes
  /** Told in plain callbacks, and must not throw. It may call the loop. */
  readonly onNews: (news: LeaseNews) => void
  /** The store did not do what a lease needs; it is tried again. */
  readonly onTrouble?: (error: StoreUnavailable) => void
}

/** As LeaseKeeper says them, now. What comes of them for the store goes there at the end of this turn, as one. */
export interface LeaseLoop {
  readonly want: (shards: ReadonlyArray<Shard>) => void
  readonly hurry: (shards: ReadonlyArray<Shard>) => void
  readonly letGo: (lease: Lease) => void
  readonly fenced: (lease: Lease) => void
  /**
   * Calls back once the store has no lease of this host's for the shard, as far as one knows; at once where that is so.
   * Never, when the store does not answer.
   */
  readonly whenBack: (shard: Shard, then: () => void) => void
  readonly mayBegin: (shard: Shard) => Lease | undefined
  readonly mayFinish: (lease: Lease) => boolean
}

/** How long the last word to the store may take, when all ends. */
const farewell = "1 second"

/** Until the scope closes: then it lets go of what is left, so whoever runs actors under it ends before. */
export const runLeases = (
  options: LeaseLoopOptions
): Effect.Effect<LeaseLoop, never, ActorStore | Scope.Scope> =>
  Effect.gen(function* () {
    const { onNews, onTrouble, owner, times = defaultLeaseTimes } = options
    const store = yield* ActorStore
    const clock = yield* Effect.clock
    const now = () => Number(clock.unsafeCurrentTimeNanos()) / 1e6
    const dice = new PCGRandom(yield* Random.nextIntBetween(0, 2 ** 31))
    const keeper = new LeaseKeeper(() => dice.number(), times)
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => store.release(keeper.leases)).pipe(
        Effect.disconnect,
        // What ends is not to be held up by a store that says nothing.
        Effect.interruptible,
        Effect.timeout(farewell),
        Effect.ignore
      )
    )
    const run = yield* FiberSet.makeRuntime<never>()

    const ask = (request: LeaseRequest): Effect.Effect<ReadonlyArray<Lease>, StoreUnavailable> => {
      if (request.kind === "acquire") return store.acquire(owner, request.shards, times.ttl)
      if (request.kind === "renew") return store.renew(request.leases, times.ttl)
      return Effect.as(store.release(request.leases), [])
    }
    const carry = (request: LeaseRequest): void => {
      run(
        ask(request).pipe(
          Effect.tapError((error) => Effect.sync(() => onTrouble?.(error))),
          Effect.disconnect,
          // Who does not answer in that time is asked anew.
          Effect.timeout(times.renew),
          Effect.option,
          Effect.flatMap((leases) =>
            Effect.sync(() => {
              keeper.answered(request, Option.getOrUndefined(leases), now())
              look()
            })
          )
        )
      )
    }

    const awaited = new Map<string, { readonly shard: Shard; readonly then: Array<() => void> }>()
    const tellBack = (): void => {
      for (const [name, { shard, then }] of awaited) {
        if (!keeper.isBack(shard)) continue
        awaited.delete(name)
        for (const tell of then) tell()
      }
    }

    let looking = false
    let again = false
    let timer = run(Effect.void)
    /** Not within itself: whoever hears news may want something else. */
    const look = (): void => {
      again = true
      if (looking) return
      looking = true
      let at = 0
      while (again) {
        again = false
        const step = keeper.step(now())
        at = step.at
        for (const request of step.requests) carry(request)
        for (const news of step.news) onNews(news)
      }
      looking = false
      tellBack()
      timer.unsafeInterruptAsFork(timer.id())
      timer = run(Effect.zipRight(Effect.sleep(Math.max(1, at - now())), Effect.sync(look)))
    }

    let isSoon = false
    /** Once for all that is told in this turn: shards come and go by the dozen, each by itself. */
    const lookSoon = (): void => {
      if (isSoon) return
      isSoon = true
      run(
        Effect.zipRight(
          Effect.yieldNow(),
          Effect.sync(() => {
            isSoon = false
            look()
          })
        )
      )
    }
    const then =
      <A>(tell: (it: A, now: number) => void) =>
      (it: A): void => {
        tell(it, now())
        lookSoon()
      }
    return {
      want: then((shards: ReadonlyArray<Shard>, at) => keeper.want(shards, at)),
      hurry: then((shards: ReadonlyArray<Shard>, at) => keeper.hurry(shards, at)),
      letGo: then((lease: Lease, at) => keeper.letGo(lease, at)),
      fenced: then((lease: Lease, at) => keeper.fenced(lease, at)),
      whenBack: (shard, then) => {
        if (keeper.isBack(shard)) {
          then()
          return
        }
        const name = shardText(shard)
        const waiting = awaited.get(name)
        if (waiting === undefined) awaited.set(name, { shard, then: [then] })
        else waiting.then.push(then)
      },
      mayBegin: (shard) => keeper.mayBegin(shard, now()),
      mayFinish: (lease) => keeper.mayFinish(lease, now())
    }
  })
