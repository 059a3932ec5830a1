/**
 * The part of an actor's life that needs no fiber: takes messages out of the mailbox one at a time,
 * steps, and does what is done at once. An actor at rest is that and no more: ticks that find nothing
 * to do, answers that are noted.
 */
import { Effect } from "effect"
import type { Behaviour, Moment } from "./Behaviour.ts"
import type { Mailbox } from "./Mailbox.ts"

/** Messages handled before the event loop gets a turn: a full mailbox must not stall requests. */
const batch = 64

/** Zero milliseconds on the clock is a turn of the event loop; a yield would not be. */
const aTurnOfTheLoop = Effect.sleep(0)

export interface TurnsOptions<State, Message, Action, E, R> {
  readonly box: Mailbox<Message>
  readonly step: Behaviour<State, Message, Action>
  readonly moment: () => Moment
  /** Told each new state, before its actions are done. */
  readonly publish: (state: State) => void
  /** Does the action, or answers with what is to be waited for before anything else is done. */
  readonly interpret: (action: Action) => Effect.Effect<void, E, R> | undefined
}

export class Turns<State, Message, Action, E, R> {
  readonly #options: TurnsOptions<State, Message, Action, E, R>
  #state: State
  #actions: ReadonlyArray<Action> = []
  /** Of the first action that was not begun. */
  #next = 0
  /** Since the event loop had a turn. */
  #handled = 0

  constructor(
    options: TurnsOptions<State, Message, Action, E, R>,
    [state, actions]: readonly [State, ReadonlyArray<Action>]
  ) {
    this.#options = options
    this.#state = state
    this.#take(state, actions)
  }

  /**
   * Goes on until there is something to wait for, and answers with that; it goes on behind it when
   * it is called again. Undefined: the mailbox is empty. Throws what a step or an action throws.
   */
  run(): Effect.Effect<void, E, R> | undefined {
    const { box, interpret, moment, step } = this.#options
    while (true) {
      while (this.#next < this.#actions.length) {
        const waited = interpret(this.#actions[this.#next++]!)
        if (waited !== undefined) return waited
      }
      if (box.size === 0) {
        this.#handled = 0
        return undefined
      }
      if (this.#handled++ === batch) {
        this.#handled = 0
        return aTurnOfTheLoop
      }
      // `size` was not 0; undefined would be a message type that includes it.
      const [state, actions] = step(this.#state, box.take() as Message, moment())
      if (state !== this.#state || actions.length > 0) this.#take(state, actions)
    }
  }

  /**
   * For a fiber: waits for messages in plain callbacks, and answers with what is to be waited for.
   * A defect is what `run` throws.
   */
  readonly next: Effect.Effect<Effect.Effect<void, E, R>> = Effect.async((resume) => {
    const { box } = this.#options
    let over = false
    const go = () => {
      if (over) return
      try {
        const waited = this.run()
        if (waited !== undefined) resume(Effect.succeed(waited))
        // Whoever tells is not to be surprised by what becomes of it.
        else box.onNext(() => queueMicrotask(go))
      } catch (cause) {
        resume(Effect.die(cause))
      }
    }
    go()
    return Effect.sync(() => {
      over = true
      box.forget()
    })
  })

  #take(state: State, actions: ReadonlyArray<Action>): void {
    this.#state = state
    this.#actions = actions
    this.#next = 0
    this.#options.publish(state)
  }
}
