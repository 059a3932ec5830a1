/**
 * The lives of one actor in memory, one after the other: there is one, or one that begins, or none. And how it went
 * with those that have crashed, by which the next one begins sooner or later.
 */
import { type Cause, Exit } from "effect"
import {
  decideRestart,
  noRestarts,
  type RestartDecision,
  type RestartHistory
} from "../mesh/actor/RestartPolicy.ts"
import type { ActivationHost, Life, LivingActor } from "./ActivationHost.ts"
import { messageOf } from "./ActivationSaves.ts"
import { formatAddress } from "./ActorAddress.ts"
import { LifeStart } from "./LifeStart.ts"

export class ActivationLives {
  readonly #actor: LivingActor
  readonly #host: ActivationHost
  #start: LifeStart | undefined
  #life: Life | undefined
  #startedAt: number
  #history: RestartHistory | undefined

  constructor(actor: LivingActor, host: ActivationHost) {
    this.#actor = actor
    this.#host = host
    this.#startedAt = host.now()
  }

  get current(): Life | undefined {
    return this.#life
  }

  /** One is being begun. */
  get begins(): boolean {
    return this.#start !== undefined
  }

  /** When the latest began, or begins. */
  get since(): number {
    return this.#startedAt
  }

  /** Calls back with whether it has begun, unless it is dropped before; maybe at once. */
  begin(then: (exit: Exit.Exit<Life>) => void): void {
    this.#startedAt = this.#host.now()
    const start = new LifeStart(this.#host)
    this.#start = start
    start.begin(this.#actor, (exit) => {
      this.#start = undefined
      if (Exit.isSuccess(exit)) this.#life = exit.value
      then(exit)
    })
  }

  /**
   * There is none any more, nor one that begins. Returns how to close what there was, which calls back when nothing
   * is left of it.
   */
  drop(): (cause: Cause.Cause<unknown>, then: () => void) => void {
    const [life, start] = [this.#life, this.#start]
    this.#life = undefined
    this.#start = undefined
    return (cause, then) => {
      if (life !== undefined) this.#host.fork(life.close(Exit.failCause(cause)), then)
      else if (start !== undefined) start.end(cause, then)
      else then()
    }
  }

  /** It has done what it had to, and ends. */
  end(then: () => void): void {
    const life = this.#life
    this.#life = undefined
    if (life === undefined) then()
    else this.#host.fork(life.close(Exit.void), then)
  }

  /** It has crashed: when the next one begins. */
  decide(): RestartDecision {
    const { restarts } = this.#host
    const [history, now] = [this.#history ?? noRestarts, this.#host.now()]
    const decision = decideRestart(restarts, history, this.#startedAt, now, this.#host.random())
    this.#history = decision.history
    return decision
  }
}

export const crashText = ({ address }: LivingActor, cause: Cause.Cause<unknown>): string =>
  `the actor ${formatAddress(address)} has crashed: ${messageOf(cause)}`
