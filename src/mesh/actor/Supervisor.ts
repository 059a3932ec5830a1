/**
 * Keeps actors alive. Each child runs lives: when one ends in a failure or defect, the next begins
 * after a back-off. Siblings notice nothing.
 *
 * A child that keeps crashing is reported as failed; then it waits the longest back-off and is tried
 * again from scratch, forever: a mesh must not give up. What can fail for good is the supervisor
 * itself, by a bug in it. Then nobody would begin the next life of that child, and a node that only
 * looks well is worse than one that ends: it says so, and `broken` fails.
 */
import { Cause, Context, Deferred, Effect, Layer, Random, type Scope } from "effect"
import {
  decideRestart,
  defaultRestartPolicy,
  noRestarts,
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
  readonly name: string
  readonly state: "running" | "restarting" | "failed"
  /** Since the start of the process. */
  readonly restarts: number
  readonly mailbox: number
  readonly dropped: number
  /** One line; undefined when it never crashed. */
  readonly lastError: string | undefined
}

interface Entry {
  readonly child: Child
  state: ActorStatus["state"]
  restarts: number
  lastError: string | undefined
}

/** The supervisor has failed, and does not keep that actor any more. */
export class SupervisorBroken extends Error {
  override readonly name = "SupervisorBroken"

  constructor(actor: string, cause: unknown) {
    super(
      `what keeps the actor ${actor} alive has itself failed: ${cause instanceof Error ? cause.message : String(cause)}. The node cannot go on; have it started again, and report this`,
      { cause }
    )
  }
}

export interface SupervisorShape {
  /** Runs the child until the scope closes. */
  readonly supervise: (child: Child) => Effect.Effect<void, never, Scope.Scope>
  /** Never done; dies with `SupervisorBroken` when the supervisor itself has failed. */
  readonly broken: Effect.Effect<never>
  readonly actors: () => ReadonlyArray<ActorStatus>
}

const monotonic = Effect.map(Effect.clock, (clock) => Number(clock.unsafeCurrentTimeNanos()) / 1e6)

const oneLine = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  return text.split("\n", 1)[0]!.slice(0, 500)
}

class Supervision implements SupervisorShape {
  readonly #policy: RestartPolicy
  readonly #entries = new Set<Entry>()
  readonly #broken: Deferred.Deferred<never>
  readonly broken: Effect.Effect<never>

  constructor(policy: RestartPolicy, broken: Deferred.Deferred<never>) {
    this.#policy = policy
    this.#broken = broken
    this.broken = Deferred.await(broken)
  }

  readonly supervise = (child: Child): Effect.Effect<void, never, Scope.Scope> =>
    Effect.gen(this, function* () {
      const entry: Entry = { child, state: "running", restarts: 0, lastError: undefined }
      yield* Effect.acquireRelease(
        Effect.sync(() => this.#entries.add(entry)),
        () => Effect.sync(() => this.#entries.delete(entry))
      )
      yield* Effect.forkScoped(
        Effect.catchAllCause(this.#lives(entry), (cause) => this.#fail(entry, cause))
      )
    })

  readonly actors = (): ReadonlyArray<ActorStatus> =>
    Array.from(this.#entries, ({ child, state, restarts, lastError }) => {
      const { size, dropped } = child.mailbox()
      return { name: child.name, state, restarts, mailbox: size, dropped, lastError }
    })

  #fail(entry: Entry, cause: Cause.Cause<never>): Effect.Effect<void> {
    // Its scope closes.
    if (Cause.isInterruptedOnly(cause)) return Effect.failCause(cause)
    entry.state = "failed"
    entry.lastError = oneLine(cause)
    const broken = new SupervisorBroken(entry.child.name, Cause.squash(cause))
    return Effect.zipRight(
      Effect.logFatal(broken.message, cause),
      Deferred.die(this.#broken, broken)
    )
  }

  #lives(entry: Entry): Effect.Effect<never> {
    return Effect.gen(this, function* () {
      const { child } = entry
      let history = noRestarts
      let fresh = true
      while (true) {
        entry.state = "running"
        const startedAt = yield* monotonic
        const cause = yield* Effect.suspend(() => child.live(fresh)).pipe(
          Effect.sandbox,
          Effect.flip
        )
        entry.state = "restarting"
        entry.restarts++
        entry.lastError = oneLine(cause)
        const now = yield* monotonic
        const random = yield* Random.next
        const decision = decideRestart(this.#policy, history, startedAt, now, random)
        history = decision.history
        fresh = decision.kind === "escalate"
        yield* Effect.logWarning(`actor ${child.name} crashed: ${entry.lastError}`).pipe(
          Effect.annotateLogs({ next: decision.kind, inMillis: Math.round(decision.delay) })
        )
        if (decision.kind === "restart") yield* Effect.sleep(decision.delay)
        else yield* this.#giveRest(entry)
      }
    })
  }

  /** Returns when the child may start again, from scratch. */
  #giveRest(entry: Entry): Effect.Effect<void> {
    const { max } = this.#policy
    entry.state = "failed"
    return Effect.logError(
      `actor ${entry.child.name} keeps crashing; it is tried again later`
    ).pipe(Effect.annotateLogs({ inMillis: max }), Effect.zipRight(Effect.sleep(max)))
  }
}

export class Supervisor extends Context.Tag("skein/actor/Supervisor")<
  Supervisor,
  SupervisorShape
>() {
  static layer(policy: Partial<RestartPolicy> = {}): Layer.Layer<Supervisor> {
    return Layer.effect(
      Supervisor,
      Effect.map(
        Deferred.make<never>(),
        (broken) => new Supervision({ ...defaultRestartPolicy, ...policy }, broken)
      )
    )
  }
}
