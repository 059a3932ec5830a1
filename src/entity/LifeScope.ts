/**
 * The scope of one life of an actor, as what builds its handlers is given it. Most put nothing into it, and a scope of
 * Effect's takes 280 bytes when it is empty, a quarter of what an idle actor takes: it is made with what is first put
 * into it.
 */
import { Effect, ExecutionStrategy, type Exit, Pipeable, Scope } from "effect"

export class LifeScope extends Pipeable.Class() implements Scope.CloseableScope {
  #made: Scope.CloseableScope | undefined
  /** How it was closed, while there was nothing in it. */
  #closed: Exit.Exit<unknown, unknown> | undefined

  get [Scope.ScopeTypeId](): Scope.ScopeTypeId {
    return Scope.ScopeTypeId
  }

  get [Scope.CloseableScopeTypeId](): Scope.CloseableScopeTypeId {
    return Scope.CloseableScopeTypeId
  }

  get strategy(): ExecutionStrategy.ExecutionStrategy {
    return ExecutionStrategy.sequential
  }

  // By these names `Scope.addFinalizer`, `Scope.fork`, `Scope.close` and `Effect.forkIn` ask any scope, which is a
  // matter of effect 3 alone: LifeScope.test.ts holds it to that.

  get state(): unknown {
    return Reflect.get(this.#scope, "state")
  }

  addFinalizer(finalizer: Scope.Scope.Finalizer): Effect.Effect<void> {
    return Effect.suspend(() => Scope.addFinalizerExit(this.#scope, finalizer))
  }

  fork(strategy: ExecutionStrategy.ExecutionStrategy): Effect.Effect<Scope.CloseableScope> {
    return Effect.suspend(() => Scope.fork(this.#scope, strategy))
  }

  close(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.#made !== undefined) return Scope.close(this.#made, exit)
      this.#closed ??= exit
      return Effect.void
    })
  }

  get #scope(): Scope.CloseableScope {
    if (this.#made !== undefined) return this.#made
    const made = Effect.runSync(Scope.make())
    // What comes too late is ended at once.
    if (this.#closed !== undefined) Effect.runSync(Scope.close(made, this.#closed))
    this.#made = made
    return made
  }
}
