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
