/**
 * Keeps actors alive. Each child runs lives: when one ends in a failure or defect, the next begins
 * after a back-off. Siblings notice nothing.
 *
 * A child that keeps crashing is escalated. A *group* answers by restarting all its children from
 * scratch, since state they share may be what is broken; a group that has to do that too often
 * escalates to its own supervisor. The root has nobody above it and a mesh must not give up: it
 * reports the child as failed, waits the longest back-off and tries again, forever.
 */
import { Cause, Clock, Context, Deferred, Effect, Layer, Random, type Scope } from "effect"
import {
  decideRestart,
  defaultRestartPolicy,
  noRestarts,
  type RestartHistory,
  type RestartPolicy
} from "./RestartPolicy.ts"

/** One thing to be kept running. */
export interface Child {
  readonly name: string
  /** One life. `fresh`: nothing of the life before may be used. Ends only by failing. */
  readonly live: (fresh: boolean) => Effect.Effect<never, unknown>
  readonly mailbox: () => { readonly size: number; readonly dropped: number }
}

export interface ActorStatus {
  /** With the names of its groups: `mesh/catalogue`. */
  readonly name: string
  readonly state: "running" | "restarting" | "failed"
  /** Since the start of the process. */
  readonly restarts: number
  readonly mailbox: number
  readonly dropped: number
  /** One line; undefined when it never crashed. */
  readonly lastError: string | undefined
}

class GroupRestart {
  readonly _tag = "GroupRestart"
}

interface Entry {
  readonly child: Child
  state: ActorStatus["state"]
  restarts: number
  lastError: string | undefined
  /** Failing it ends the current life from outside. */
  reset: Deferred.Deferred<never, GroupRestart>
}

export interface SupervisorShape {
  /** Runs the child until the scope closes. */
  readonly supervise: (child: Child) => Effect.Effect<void, never, Scope.Scope>
  /** A supervisor below this one, whose children are restarted together when one is escalated. */
  readonly group: (
    name: string,
    policy?: Partial<RestartPolicy>
  ) => Effect.Effect<SupervisorShape, never, Scope.Scope>
  readonly actors: () => ReadonlyArray<ActorStatus>
}

const monotonic = Effect.map(Clock.currentTimeNanos, (nanos) => Number(nanos) / 1e6)

const oneLine = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  return text.split("\n", 1)[0]!.slice(0, 500)
}

class Supervision implements SupervisorShape {
  readonly #path: string
  readonly #policy: RestartPolicy
  readonly #parent: Supervision | undefined
  readonly #entries = new Set<Entry>()
  readonly #groups = new Set<Supervision>()
  #history: RestartHistory = noRestarts
  #startedAt = 0
  /** Present while this group is about to restart all its children. */
  #restarting: Deferred.Deferred<void> | undefined

  constructor(path: string, policy: RestartPolicy, parent: Supervision | undefined) {
    this.#path = path
    this.#policy = policy
    this.#parent = parent
  }

  readonly supervise = (child: Child): Effect.Effect<void, never, Scope.Scope> =>
    Effect.gen(this, function* () {
      const entry: Entry = {
        child,
        state: "running",
        restarts: 0,
        lastError: undefined,
        reset: yield* Deferred.make<never, GroupRestart>()
      }
      yield* Effect.acquireRelease(
        Effect.sync(() => this.#entries.add(entry)),
        () => Effect.sync(() => this.#entries.delete(entry))
      )
      yield* Effect.forkScoped(this.#lives(entry))
    })

  readonly group = (name: string, policy: Partial<RestartPolicy> = {}) =>
    Effect.acquireRelease(
      Effect.map(monotonic, (now) => {
        const group = new Supervision(`${this.#path}${name}/`, { ...this.#policy, ...policy }, this)
        group.#startedAt = now
        this.#groups.add(group)
        return group
      }),
      (group) => Effect.sync(() => this.#groups.delete(group))
    )

  readonly actors = (): ReadonlyArray<ActorStatus> => [
    ...Array.from(this.#entries, ({ child, state, restarts, lastError }) => {
      const { size, dropped } = child.mailbox()
      const name = this.#path + child.name
      return { name, state, restarts, mailbox: size, dropped, lastError }
    }),
    ...Array.from(this.#groups).flatMap((group) => group.actors())
  ]

  #lives(entry: Entry): Effect.Effect<never> {
    return Effect.gen(this, function* () {
      let history = noRestarts
      let fresh = true
      while (true) {
        entry.reset = yield* Deferred.make<never, GroupRestart>()
        entry.state = "running"
        const startedAt = yield* monotonic
        const cause = yield* entry.child
          .live(fresh)
          .pipe(Effect.raceFirst(Deferred.await(entry.reset)), Effect.sandbox, Effect.flip)
        entry.state = "restarting"
        entry.restarts++
        const failure = Cause.squash(cause)
        if (failure instanceof GroupRestart) {
          history = noRestarts
          fresh = true
          continue
        }
        entry.lastError = oneLine(cause)
        const now = yield* monotonic
        const random = yield* Random.next
        const decision = decideRestart(this.#policy, history, startedAt, now, random)
        history = decision.history
        fresh = decision.kind === "escalate"
        yield* Effect.logWarning(
          `actor ${this.#path}${entry.child.name} crashed: ${entry.lastError}`
        ).pipe(Effect.annotateLogs({ next: decision.kind, inMillis: Math.round(decision.delay) }))
        if (decision.kind === "restart") yield* Effect.sleep(decision.delay)
        else yield* this.#escalated(entry)
      }
    })
  }

  /** Returns when the child may start again, from scratch. */
  #escalated(entry: Entry): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      entry.state = "failed"
      yield* this.#await(`${this.#path}${entry.child.name}`)
      // This child begins anew by itself; the restart meant for its siblings must not hit it too.
      entry.reset = yield* Deferred.make<never, GroupRestart>()
    })
  }

  #await(who: string): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      if (this.#parent === undefined) {
        yield* Effect.logError(`actor ${who} keeps crashing; it is tried again later`).pipe(
          Effect.annotateLogs({ inMillis: this.#policy.max })
        )
        return yield* Effect.sleep(this.#policy.max)
      }
      if (this.#restarting !== undefined) return yield* Deferred.await(this.#restarting)
      const restarting = yield* Deferred.make<void>()
      this.#restarting = restarting
      yield* this.#restartAll(this.#parent).pipe(
        // Also when the one that waits here is stopped: others may wait for the same restart.
        Effect.ensuring(
          Effect.suspend(() => {
            this.#restarting = undefined
            return Deferred.succeed(restarting, undefined)
          })
        )
      )
    })
  }

  #restartAll(parent: Supervision): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      const now = yield* monotonic
      const random = yield* Random.next
      const decision = decideRestart(this.#policy, this.#history, this.#startedAt, now, random)
      this.#history = decision.history
      if (decision.kind === "restart") yield* Effect.sleep(decision.delay)
      else yield* parent.#await(this.#path)
      this.#startedAt = yield* monotonic
      this.#reset()
    })
  }

  #reset(): void {
    for (const entry of this.#entries) {
      if (entry.state === "running") {
        Deferred.unsafeDone(entry.reset, Effect.fail(new GroupRestart()))
      }
    }
    for (const group of this.#groups) group.#reset()
  }
}

export class Supervisor extends Context.Tag("skein/actor/Supervisor")<
  Supervisor,
  SupervisorShape
>() {
  /** The root of a node's tree. */
  static layer(policy: Partial<RestartPolicy> = {}): Layer.Layer<Supervisor> {
    return Layer.sync(
      Supervisor,
      () => new Supervision("", { ...defaultRestartPolicy, ...policy }, undefined)
    )
  }

  /** For what is built with it: a group of its own below the supervisor in the context. */
  static group(
    name: string,
    policy: Partial<RestartPolicy> = {}
  ): Layer.Layer<Supervisor, never, Supervisor> {
    return Layer.scoped(
      Supervisor,
      Effect.flatMap(Supervisor, (parent) => parent.group(name, policy))
    )
  }
}
