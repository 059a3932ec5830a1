/** What each way of ActorContract.ts gives: the function that calls an actor by its id. */
import { Context, type Effect } from "effect"

export class Call extends Context.Tag("bench/actors/Call")<
  Call,
  (id: string, text: string) => Effect.Effect<string, unknown>
>() {}

/** Longer than any run: what is idle is measured, and not how it goes. */
export const idle = "1 hour"

export interface Place {
  /** What its actors answer with. */
  readonly host: string
  /** A token to join with, a socket to attach to, or the port of the runner. */
  readonly at: string
  /** Of the node, or of the list of runners. */
  readonly directory: string
}
