import { expect, it } from "@effect/vitest"
import { Effect, ExecutionStrategy, Exit, Fiber, Scope } from "effect"
import { LifeScope } from "./LifeScope.ts"

const within = <A, E>(
  scope: LifeScope,
  effect: Effect.Effect<A, E, Scope.Scope>
): Effect.Effect<A, E> => Effect.provideService(effect, Scope.Scope, scope)

it.effect("ends what was put into it, the last first, with how it was closed", () =>
  Effect.gen(function* () {
    const scope = new LifeScope()
    const ended: Array<string> = []
    const put = (name: string) =>
      Effect.acquireRelease(Effect.succeed(name), (_, { _tag }) =>
        Effect.sync(() => ended.push(`${name} ${_tag}`))
      )
    yield* within(scope, Effect.zipRight(put("first"), put("last")))
    expect(ended).toEqual([])
    yield* Scope.close(scope, Exit.die("broken"))
    expect(ended).toEqual(["last Failure", "first Failure"])
    yield* Scope.close(scope, Exit.void)
    expect(ended).toHaveLength(2)
  })
)

it.effect("is closed with nothing in it, and ends at once what comes later", () =>
  Effect.gen(function* () {
    const scope = new LifeScope()
    yield* Scope.close(scope, Exit.die("broken"))
    yield* Scope.close(scope, Exit.void)
    const ended: Array<string> = []
    const late = Effect.addFinalizer(({ _tag }) => Effect.sync(() => ended.push(_tag)))
    yield* within(scope, late)
    expect(ended).toEqual(["Failure"])
    const forked = yield* Scope.fork(scope, ExecutionStrategy.sequential)
    yield* Effect.provideService(late, Scope.Scope, forked)
    expect(ended).toEqual(["Failure", "Failure"])
  })
)

it.effect("ends fibers and scopes that were begun in it", () =>
  Effect.gen(function* () {
    const scope = new LifeScope()
    const fiber = yield* within(scope, Effect.forkScoped(Effect.never))
    const forked = yield* Scope.fork(scope, ExecutionStrategy.parallel)
    let isEnded = false
    yield* Scope.addFinalizer(
      forked,
      Effect.sync(() => {
        isEnded = true
      })
    )
    yield* Scope.close(scope, Exit.void)
    expect(isEnded).toBe(true)
    expect(Exit.isInterrupted(yield* Fiber.await(fiber))).toBe(true)
  })
)
