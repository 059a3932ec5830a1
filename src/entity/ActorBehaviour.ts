/**
 * A pure behaviour as an actor of a program. The same function runs by the thousand on the virtual clock of
 * `skein/testing` (BehaviourSimulation), against crashes and a network that is cut.
 *
 *     const turn = yield* ActorBehaviour.make(purse, { state, interpret })
 *     return { Give: ({ payload }) => turn({ _tag: "give", ...payload }) }
 */
import { Effect } from "effect"
import { PCGRandom } from "effect/Utils"
import type { Moment, PureActor } from "../mesh/actor/Behaviour.ts"
import type { ActorState } from "./ActorState.ts"

export interface ActorBehaviourOptions<State, Action, E, R> {
  /** Where the behaviour's state is kept: `ActorState.make(schema, { initial })`. */
  readonly state: ActorState<State>
  /** Does what the behaviour says, when the state that it has left is saved. A failure is the message's. */
  readonly interpret: (action: Action) => Effect.Effect<void, E, R>
}

/**
 * While an actor's handlers are built: begins a life of the behaviour, and gives what it takes to handle a
 * message. That answers with the actions, all of them done, so that a handler can make its answer of them.
 */
export const make = <State, Message, Action, E, R>(
  { begin, step }: PureActor<State, Message, Action>,
  { interpret, state }: ActorBehaviourOptions<State, Action, E, R>
): Effect.Effect<(message: Message) => Effect.Effect<ReadonlyArray<Action>, E, R>, E, R> =>
  Effect.gen(function* () {
    const clock = yield* Effect.clock
    const random = yield* Effect.random
    const dice = new PCGRandom(yield* random.nextIntBetween(0, 2 ** 31))
    const moment = (): Moment => ({
      now: Number(clock.unsafeCurrentTimeNanos()) / 1e6,
      wall: clock.unsafeCurrentTimeMillis(),
      random: () => dice.number()
    })
    const done = (
      change: (state: State) => readonly [State, ReadonlyArray<Action>]
    ): Effect.Effect<ReadonlyArray<Action>, E, R> =>
      Effect.flatMap(
        state.modify((before) => {
          const [after, actions] = change(before)
          return [actions, after]
        }),
        (actions) =>
          actions.length === 0
            ? Effect.succeed(actions)
            : // A crash between them has them done again, and not for a state that never was.
              Effect.orDie(state.save).pipe(
                Effect.zipRight(Effect.forEach(actions, interpret, { discard: true })),
                Effect.as(actions)
              )
      )
    if (begin !== undefined) yield* done((before) => begin(before, moment()))
    return (message) => done((before) => step(before, message, moment()))
  })
