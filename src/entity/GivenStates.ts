/**
 * Gives the states of actors that have stopped here to their next host, which merges them with its own
 * (`ActorState.make`, `merge`). What cannot be given stays in the store of this host.
 */
import * as Headers from "@effect/platform/Headers"
import { Cause, Effect, Exit, Schedule } from "effect"
import type { Caller } from "../model/Caller.ts"
import { type ActorAddress, formatAddress } from "./ActorAddress.ts"
import type { ActorStats } from "./ActorStats.ts"
import type { ActorFailure } from "./Actors.ts"
import { type Handed, type HandedState, type Merged, mergeRpc } from "./HandedState.ts"
import { RoutedMessage, type RouteOptions } from "./RoutedMessage.ts"

/** So many are on their way at a time; the others wait. */
const atATime = 64
/** Milliseconds that one try may take. */
const patience = 15_000
const again = Schedule.intersect(Schedule.spaced("1 second"), Schedule.recurs(3))

export interface GivenStatesOptions {
  readonly route: RouteOptions
  readonly stats: ActorStats
  /** Whom this program speaks for. */
  readonly self: Caller
  readonly run: (effect: Effect.Effect<void>) => void
}

export class GivenStates {
  readonly #options: GivenStatesOptions
  readonly #permits = Effect.unsafeMakeSemaphore(atATime)
  #open = 0
  #waiting: Array<() => void> = []

  constructor(options: GivenStatesOptions) {
    this.#options = options
  }

  give(address: ActorAddress, { state, taken }: Handed): void {
    const { route, run } = this.#options
    // Nobody else runs the type: it comes back to what is in this host's store.
    if (route.hosts.placement.size === 0) return
    this.#open++
    run(
      this.#send(address, state).pipe(
        Effect.retry(again),
        this.#permits.withPermits(1),
        Effect.tap((merged) =>
          // Where both have one store it is what is gone on with.
          merged === "merged" ? Effect.ignore(taken) : Effect.void
        ),
        Effect.exit,
        Effect.flatMap((exit) => this.#ended(address, exit))
      )
    )
  }

  /** Done when none is on its way. */
  readonly ended: Effect.Effect<void> = Effect.async((resume) => {
    if (this.#open === 0) resume(Effect.void)
    else this.#waiting.push(() => resume(Effect.void))
  })

  #send(address: ActorAddress, payload: HandedState): Effect.Effect<Merged, unknown> {
    const { route, self } = this.#options
    return Effect.async((resume) => {
      const routed = new RoutedMessage(route, address, {
        ...{ rpc: mergeRpc, payload, headers: Headers.empty, caller: self, tells: false },
        // Its key has it merged once, however often it comes.
        ...{ isIdempotent: true, parent: undefined, key: undefined, deadline: patience },
        replies: {
          part: () => Effect.void,
          // Its Schema has seen to what it is. Defects are tried again as well: that host may be of another release.
          exit: (exit) =>
            resume(
              Exit.isSuccess(exit)
                ? Effect.succeed(exit.value as Merged)
                : Effect.fail(Cause.squash(exit.cause))
            ),
          fail: (failure: ActorFailure) => resume(Effect.fail(failure))
        }
      })
      routed.look()
      return Effect.sync(() => routed.cancel())
    })
  }

  #ended(address: ActorAddress, exit: Exit.Exit<Merged, unknown>): Effect.Effect<void> {
    const { stats } = this.#options
    const isGiven = Exit.isSuccess(exit) && exit.value !== "refused"
    if (isGiven) stats.given++
    else stats.notGiven++
    const why = Exit.isSuccess(exit)
      ? "its program there has no merge for it, or not for this state; that host's log says which"
      : String(Cause.squash(exit.cause))
    const text = `the state of ${formatAddress(address)} could not be given to its next host, and is in the store of this one: ${why}`
    return Effect.zipRight(
      isGiven ? Effect.void : Effect.logWarning(text),
      Effect.sync(() => {
        this.#open--
        if (this.#open > 0) return
        for (const then of this.#waiting.splice(0)) then()
      })
    )
  }
}
