/**
 * The lives of one actor in memory, one after the other: there is one, or one that begins, or none. And how it went
 * with those that have crashed, by which the next one begins sooner or later.
 */
import { Cause, Exit } from "effect"
import { decideRestart, noRestarts, type RestartHistory } from "../mesh/actor/RestartPolicy.ts"
import type { ActivationHost, CrashNews, Life, LivingActor } from "./ActivationHost.ts"
import { messageOf } from "./ActivationSaves.ts"
import { formatAddress } from "./ActorAddress.ts"
import { ActorUnavailable } from "./ActorError.ts"
import { LifeStart } from "./LifeStart.ts"
import { StateUnreadable } from "./store/StateVersions.ts"

export class ActivationLives {
  readonly #actor: LivingActor
  readonly #host: ActivationHost
  #start: LifeStart | undefined
  #life: Life | undefined
  #startedAt: number
  #history: RestartHistory | undefined
  /** What a later release has saved, and this one cannot read. */
  #newer: StateUnreadable | undefined

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

  /** It has crashed: when the next one begins. What cannot be read is not tried again: it stays so for this release. */
  decide(cause: Cause.Cause<unknown>): CrashNews {
    const { restarts } = this.#host
    const error = Cause.squash(cause)
    const isNewer = error instanceof StateUnreadable && error.code === "state_newer"
    this.#newer = isNewer ? error : undefined
    if (isNewer) return { kind: "newer", delay: restarts.max }
    const [history, now] = [this.#history ?? noRestarts, this.#host.now()]
    const decision = decideRestart(restarts, history, this.#startedAt, now, this.#host.random())
    this.#history = decision.history
    return decision
  }

  /** For messages while none is begun, for so many crashes or for good. */
  get failure(): ActorUnavailable {
    const { address } = this.#actor
    const { versions } = this.#newer ?? {}
    if (versions === undefined) {
      return ActorUnavailable.of("failed", address, "has crashed too often in a row")
    }
    const what = `was saved as version ${versions.saved} of its state, and the release that runs it here knows ${versions.known}`
    return ActorUnavailable.of("state_newer", address, what)
  }
}

export const crashText = (
  { address }: LivingActor,
  cause: Cause.Cause<unknown>,
  kind: CrashNews["kind"] = "restart"
): string =>
  `the actor ${formatAddress(address)} ${kind === "newer" ? "cannot begin" : "has crashed"}: ${messageOf(cause)}`
