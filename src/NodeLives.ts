/**
 * A node whose mesh plane may crash: what throws in the main thread with nobody to catch it ends that
 * life of the mesh plane, and another begins, as after a restart of the node. The request threads, their
 * ports and what runs on them are kept; they go by what they knew last.
 */
import { Cause, Clock, Deferred, Effect, Exit, Queue, Schedule, Scope } from "effect"
import { lockDataDir } from "./mesh/keys/DataDirLock.ts"
import type { Attached } from "./node/AttachedPrograms.ts"
import { readDescriptors, shareDescriptors, withThreads } from "./node/Descriptors.ts"
import { KeptThreads } from "./node/KeptThreads.ts"
import { makePlaneLog } from "./node/PlaneLog.ts"
import type { NodeInput, RunningNode } from "./node/RunningNode.ts"
import { StartError } from "./node/StartError.ts"
import { makeSystemTicker } from "./node/SystemTicker.ts"
import { sharedThreads, threadCount } from "./node/ThreadCount.ts"
import { runNode } from "./node.ts"

interface Life {
  readonly node: RunningNode
  readonly scope: Scope.CloseableScope
  readonly startedAt: number
}

/** Pause before the next life, ms; doubles while lives end soon after their start. */
const firstPause = 50
const longestPause = 5_000
/** A life of so long was well, ms. */
const stableAfter = 60_000
/** What is left of a life that has crashed may take so long to end; then the next one begins anyway. */
const endPatience = "3 seconds"

/** Everything that is thrown and not caught in this thread, until the scope closes. */
const uncaught: Effect.Effect<Queue.Dequeue<Error>, never, Scope.Scope> = Effect.gen(function* () {
  const crashes = yield* Queue.dropping<Error>(64)
  const onCrash = (cause: unknown) => {
    crashes.unsafeOffer(cause instanceof Error ? cause : new Error(String(cause)))
  }
  yield* Effect.acquireRelease(
    Effect.sync(() => process.on("uncaughtException", onCrash)),
    () => Effect.sync(() => process.removeListener("uncaughtException", onCrash))
  )
  return crashes
})

/**
 * Starts a node, which stops when the scope closes. Without request threads of their own there is
 * nothing to keep: what is thrown then ends the process, as in any program.
 */
export const runLives = (input: NodeInput): Effect.Effect<RunningNode, StartError, Scope.Scope> =>
  Effect.gen(function* () {
    const now = input.descriptors ?? readDescriptors()
    const { dataDir, threads } = input.config.node
    const wanted = threadCount(threads, shareDescriptors(now)?.sockets)
    const count = sharedThreads(wanted, 1, process.versions)
    const descriptors = withThreads(now, count)
    if (count === 0) return yield* runNode({ ...input, descriptors })
    const outer = yield* Effect.scope
    const ticker = yield* makeSystemTicker
    const kept = yield* Effect.acquireRelease(
      Effect.map(makePlaneLog, (log) => new KeptThreads({ count, ticker, log })),
      (it) => Effect.promise(() => it.stop())
    )
    let isLocked = false
    const lock = Effect.suspend(() =>
      isLocked
        ? Effect.void
        : Effect.flatMap(Clock.currentTimeMillis, (now) => lockDataDir(dataDir, now))
    ).pipe(
      Effect.tap(() => {
        isLocked = true
      }),
      Effect.provideService(Scope.Scope, outer),
      Effect.mapError(StartError.from),
      Effect.asVoid
    )
    const left = yield* Deferred.make<void>()
    let config = input.config
    let attached: ReadonlyArray<Attached> = []
    let restarts = 0

    const begin = Effect.gen(function* () {
      const scope = yield* Scope.fork(outer, outer.strategy)
      const node = yield* runNode({
        ...{ ...input, config, descriptors, lock, restarts, attached },
        planes: kept.sides(),
        onReloaded: (next) => {
          config = next
        },
        onAttached: (programs) => {
          attached = programs
        }
      }).pipe(
        Scope.extend(scope),
        Effect.onError((cause) => {
          // What it had is the next one's.
          kept.lost()
          return Scope.close(scope, Exit.failCause(cause))
        })
      )
      const inLife = Effect.forkIn(scope)
      if (kept.isDraining) yield* inLife(Effect.ignore(node.source.drain))
      yield* inLife(Effect.andThen(node.ready, () => kept.met()))
      yield* inLife(
        Effect.matchCauseEffect(node.stopped, {
          onSuccess: () => Deferred.succeed(left, undefined),
          // It cannot go on, and would not again; a life that is over is only interrupted.
          onFailure: (cause) =>
            Cause.isInterruptedOnly(cause) ? Effect.void : Deferred.failCause(left, cause)
        })
      )
      return { node, scope, startedAt: ticker.now() } satisfies Life
    })

    let life: Life = yield* begin
    const crashes = yield* uncaught
    let failures = 0

    const beginAgain = Effect.gen(function* () {
      const error = yield* Queue.take(crashes)
      failures = ticker.now() - life.startedAt < stableAfter ? failures + 1 : 1
      const pause = Math.min(longestPause, firstPause * 2 ** (failures - 1))
      yield* Effect.logError(
        `the mesh thread of ${life.node.name} has crashed; calls go on by what was known last, and it is started again in ${pause} ms`,
        Cause.die(error)
      )
      kept.lost()
      restarts++
      yield* Scope.close(life.scope, Exit.die(error)).pipe(
        Effect.disconnect,
        Effect.timeout(endPatience),
        Effect.catchAllCause((cause) =>
          Effect.logWarning("what was left of the mesh thread did not end cleanly", cause)
        )
      )
      yield* Effect.sleep(pause)
      // What was thrown on the way out belongs to the life that is over.
      yield* Queue.takeAll(crashes)
      life = yield* begin.pipe(
        Effect.tapErrorCause((cause) =>
          Effect.logError("the mesh thread could not be started again", cause)
        ),
        Effect.retry(
          Schedule.exponential(firstPause).pipe(Schedule.union(Schedule.spaced(longestPause)))
        )
      )
    })
    yield* beginAgain.pipe(
      Effect.catchAllDefect((defect) =>
        Effect.logFatal("the mesh thread is not started again", defect)
      ),
      Effect.forever,
      Effect.forkScoped
    )
    return facade(() => life.node, left)
  })

/** The node of the life there is. */
const facade = (current: () => RunningNode, left: Deferred.Deferred<void>): RunningNode => ({
  get name() {
    return current().name
  },
  get peer() {
    return current().peer
  },
  get mesh() {
    return current().mesh
  },
  get listening() {
    return current().listening
  },
  get addresses() {
    return current().addresses
  },
  get admin() {
    return current().admin
  },
  get names() {
    return current().names
  },
  get attach() {
    return current().attach
  },
  get proxy() {
    return current().proxy
  },
  get threads() {
    return current().threads
  },
  get source() {
    return current().source
  },
  dispatch: (call, receiver) => current().dispatch(call, receiver),
  drainDeadline: () => current().drainDeadline(),
  ready: Effect.suspend(() => current().ready),
  awaitService: (service) => Effect.suspend(() => current().awaitService(service)),
  drain: Effect.suspend(() => current().drain),
  leave: Effect.suspend(() => current().leave),
  reload: Effect.suspend(() => current().reload),
  stopped: Deferred.await(left)
})
