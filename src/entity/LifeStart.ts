/**
 * A life of an actor while its handlers are built. What ends it meanwhile (a save that fails, a child that has
 * crashed too often) ends that very one: the next begins when nothing is left of it, and it is never begun itself.
 */
import { type Cause, Exit, type Fiber } from "effect"
import type { ActivationHost, Life, LivingActor } from "./ActivationHost.ts"

interface End {
  readonly cause: Cause.Cause<unknown>
  readonly then: () => void
}

export class LifeStart {
  readonly #host: Pick<ActivationHost, "begin" | "fork">
  #fiber: Fiber.RuntimeFiber<Life> | undefined
  #end: End | undefined

  constructor(host: Pick<ActivationHost, "begin" | "fork">) {
    this.#host = host
  }

  /** Calls back with the life, or why there is none, unless it was ended before; maybe at once. */
  begin(actor: LivingActor, then: (exit: Exit.Exit<Life>) => void): void {
    this.#fiber = this.#host.fork(this.#host.begin(actor), (exit) => {
      const end = this.#end
      if (end === undefined) then(exit)
      // What was built before the interruption has come, or was not to be interrupted.
      else if (Exit.isSuccess(exit)) this.#close(exit.value, end)
      else end.then()
    })
    // It has ended itself before there was anything to interrupt.
    if (this.#end !== undefined) this.#stop()
  }

  /** Calls back when nothing is left of it. To be called once. */
  end(cause: Cause.Cause<unknown>, then: () => void): void {
    this.#end = { cause, then }
    this.#stop()
  }

  #stop(): void {
    this.#fiber?.unsafeInterruptAsFork(this.#fiber.id())
  }

  #close(life: Life, { cause, then }: End): void {
    this.#host.fork(life.close(Exit.failCause(cause)), then)
  }
}
