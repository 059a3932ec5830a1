/**
 * What an actor does, apart from how it is run. A behaviour is a pure function: it is given its
 * state, one message and the moment, and answers with its next state and what should be done
 * about the world. The same behaviour runs under the supervisor in a node and, by the thousand,
 * on the virtual clock of a simulation.
 */

/** Time and chance as a behaviour sees them. */
export interface Moment {
  /** Monotonic milliseconds: for intervals and timeouts. Never goes back. */
  readonly now: number
  /** Wall clock, milliseconds since 1970: for what is signed, stored or shown. May jump. */
  readonly wall: number
  /** Uniform in [0, 1). */
  readonly random: () => number
}

export type Behaviour<State, Message, Action> = (
  state: State,
  message: Message,
  moment: Moment
) => readonly [State, ReadonlyArray<Action>]

/** For a step that leaves the world alone. */
export const noActions: ReadonlyArray<never> = []

/** A behaviour, and how it begins. */
export interface PureActor<State, Message, Action> {
  /** Of an actor that there has never been. */
  readonly initial: State
  readonly step: Behaviour<State, Message, Action>
  /** Of each life, with the state that was saved last: to do again what a crash may have lost. Default: nothing. */
  readonly begin?: (state: State, moment: Moment) => readonly [State, ReadonlyArray<Action>]
}
