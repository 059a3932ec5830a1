/**
 * Runs a behaviour: takes messages out of a mailbox one at a time, steps, and hands the actions to
 * an interpreter. One fiber per actor, which is woken by what there is to wait for (Turns.ts); nothing
 * of it is shared.
 *
 * A crash is a step that throws, an interpreter that fails, or a failing effect that was forked
 * with `fork`. The message at hand is gone (it may be what kills), the mailbox stays, forked
 * effects are interrupted, and the next life begins from `recover(last good state)` where that is
 * given, else from `initial`. The last good state is the one the last complete step returned.
 */
import { Data, Effect, FiberSet, Schedule, type Scope } from "effect"
import type { DurationInput } from "effect/Duration"
import { PCGRandom } from "effect/Utils"
import { untilTick } from "../../model/Time.ts"
import type { Behaviour, Moment } from "./Behaviour.ts"
import { Mailbox, type Overflow } from "./Mailbox.ts"
import { Supervisor } from "./Supervisor.ts"
import { DueTicking, type TickTimers, ticking } from "./Ticking.ts"
import { Turns } from "./Turns.ts"

export class AskError extends Data.TaggedError("AskError")<{
  readonly reason: "mailbox_full" | "stopped" | "timeout"
  readonly message: string
}> {}

export interface ActorRef<Message> {
  readonly name: string
  /** From anywhere, plain callbacks too. False when the message was not taken. */
  readonly tell: (message: Message) => boolean
  /** Sends a message that carries the way back, and waits for the answer. */
  readonly ask: <A>(
    make: (reply: (answer: A) => void) => Message,
    timeout: DurationInput
  ) => Effect.Effect<A, AskError>
}

/** What an interpreter may use of the actor it works for. */
export interface ActorContext<Message> {
  readonly self: ActorRef<Message>
  /**
   * Runs beside the actor, for what takes time; interrupted when the life ends. Its failure is
   * the actor's crash. The behaviour bounds how many it starts.
   */
  readonly fork: <E>(effect: Effect.Effect<void, E>) => Effect.Effect<void>
}

export interface ActorTicks<State, Message> {
  /** Milliseconds. */
  readonly every: number
  /** `dueAt`: when it was meant to come, by the actor's clock. */
  readonly message: (dueAt: number) => Message
  /** Ticks at which there is nothing to do are left out. Default: none is. By the `ticker` only. */
  readonly seldom?: {
    /** When there is something to do, by the actor's clock. */
    readonly dueAt: (state: State) => number
    /** Milliseconds after which one comes all the same, a multiple of `every`. */
    readonly atLeast: number
    /** Milliseconds that one may come too early, where the thread is awake anyway (`DueTicks`). Default: 0. */
    readonly early?: number
  }
}

export interface ActorDefinition<State, Message, Action, E, R> {
  readonly name: string
  readonly mailbox: { readonly capacity: number; readonly overflow: Overflow }
  readonly initial: (moment: Moment) => readonly [State, ReadonlyArray<Action>]
  readonly recover?: (lastGood: State, moment: Moment) => readonly [State, ReadonlyArray<Action>]
  readonly step: Behaviour<State, Message, Action>
  /** Does at once what can be done at once; what takes an effect is waited for. */
  readonly interpret: (
    action: Action,
    context: ActorContext<Message>
  ) => Effect.Effect<void, E, R> | undefined
  /** Messages the actor sends itself, the first after one interval. */
  readonly ticks?: ReadonlyArray<ActorTicks<State, Message>>
  /**
   * By whose timers it ticks: those of a node at rest are most of what its actors do, and a fiber that
   * sleeps is two timers and a dozen steps each time. Default: the clock of its fibers.
   */
  readonly ticker?: TickTimers | undefined
  /** Called with each new state before its actions are done: the place to publish a snapshot. */
  readonly publish?: (state: State) => void
}

/** The actor lives until the scope closes. */
export const spawn = <State, Message, Action, E, R>(
  definition: ActorDefinition<State, Message, Action, E, R>
): Effect.Effect<ActorRef<Message>, never, Scope.Scope | Supervisor | R> =>
  Effect.gen(function* () {
    const supervisor = yield* Supervisor
    const context = yield* Effect.context<R>()
    const clock = yield* Effect.clock
    const random = yield* Effect.random
    const box = new Mailbox<Message>(definition.mailbox.capacity, definition.mailbox.overflow)
    let stopped = false
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        stopped = true
      })
    )

    // Of the runtime's own there is one draw, since each of them is a program to be run.
    const dice = new PCGRandom(yield* random.nextIntBetween(0, 2 ** 31))
    const now = () => Number(clock.unsafeCurrentTimeNanos()) / 1e6
    const moment = (): Moment => ({
      now: now(),
      wall: clock.unsafeCurrentTimeMillis(),
      random: () => dice.number()
    })

    const self: ActorRef<Message> = {
      name: definition.name,
      tell: (message) => !stopped && box.offer(message),
      ask: <A>(make: (reply: (answer: A) => void) => Message, timeout: DurationInput) =>
        Effect.async<A, AskError>((resume) => {
          if (self.tell(make((answer) => resume(Effect.succeed(answer))))) return
          resume(
            stopped
              ? new AskError({ reason: "stopped", message: `${self.name} has been stopped` })
              : new AskError({
                  reason: "mailbox_full",
                  message: `${self.name} is behind: ${box.size} messages wait; try again later`
                })
          )
        }).pipe(
          Effect.timeoutFail({
            duration: timeout,
            onTimeout: () =>
              new AskError({ reason: "timeout", message: `${self.name} did not answer in time` })
          })
        )
    }

    let lastGood: State | undefined
    const live = (fresh: boolean): Effect.Effect<never, unknown> =>
      Effect.gen(function* () {
        const forked = yield* FiberSet.make<void, unknown>()
        const interpreterContext: ActorContext<Message> = {
          self,
          fork: (effect) => Effect.asVoid(FiberSet.run(forked, effect))
        }
        const first =
          fresh || lastGood === undefined || definition.recover === undefined
            ? definition.initial(moment())
            : definition.recover(lastGood, moment())
        const seldom: Array<DueTicking> = []
        const publish = (state: State) => {
          lastGood = state
          for (const ticks of seldom) ticks.look()
          definition.publish?.(state)
        }
        const interpret = (action: Action) => definition.interpret(action, interpreterContext)
        const { step } = definition
        const turns = new Turns({ box, step, moment, publish, interpret }, first)
        const { ticker } = definition
        for (const { every, message, seldom: rule } of definition.ticks ?? []) {
          if (ticker === undefined) {
            const sleepAndTick = Effect.suspend(() => {
              const wait = untilTick(every, now())
              const dueAt = now() + wait
              return Effect.zipRight(
                Effect.sleep(wait),
                Effect.sync(() => self.tell(message(dueAt)))
              )
            })
            yield* FiberSet.run(forked, Effect.forever(sleepAndTick))
            continue
          }
          // Of two clocks; both go on at the same pace.
          const tell = (at: number) => void self.tell(message(now() + at - ticker.now()))
          if (rule === undefined) {
            yield* ticking(ticker, every, tell)
            continue
          }
          const { dueAt, ...times } = rule
          const dueIn = () => (lastGood === undefined ? 0 : dueAt(lastGood) - now())
          const make = Effect.sync(() => new DueTicking(ticker, { every, ...times, dueIn }, tell))
          seldom.push(yield* Effect.acquireRelease(make, (it) => Effect.sync(() => it.stop())))
        }
        const loop = Effect.forever(Effect.flatten(turns.next))
        return yield* Effect.raceFirst(loop, Effect.zipRight(FiberSet.join(forked), Effect.never))
      }).pipe(Effect.scoped, Effect.provide(context))

    yield* supervisor.supervise({
      name: definition.name,
      live,
      mailbox: () => ({ size: box.size, dropped: box.dropped })
    })
    return self
  })

/** For what must arrive though the mailbox is full right now. Tries until the actor is stopped. */
export const tellSurely = <Message>(
  ref: ActorRef<Message>,
  message: Message
): Effect.Effect<void> =>
  Effect.sync(() => ref.tell(message)).pipe(
    Effect.repeat({ until: (taken) => taken, schedule: Schedule.spaced("100 millis") }),
    Effect.asVoid
  )
