/**
 * A command that shows something: once as a table or JSON, or again and again. JSON is exactly
 * what the admin API said, so that a script sees fields no table has room for.
 */
import * as Options from "@effect/cli/Options"
import { Clock, Console, Effect, Schedule } from "effect"
import { type AdminClient, withAdmin } from "../admin/AdminClient.ts"
import type { AdminAddress } from "../config/HostPort.ts"
import { chosenNode } from "./ChosenNode.ts"
import { describeFailure, doneWhenInterrupted } from "./CommandFailed.ts"
import { type NodeChoice, nodeOptions } from "./NodeAddress.ts"

export const outputOption = Options.choice("output", ["table", "json"]).pipe(
  Options.withAlias("o"),
  Options.withDefault("table" as const),
  Options.withDescription("table for people, json for programs")
)

export const viewOptions = {
  ...nodeOptions,
  output: outputOption,
  watch: Options.boolean("watch").pipe(
    Options.withAlias("w"),
    Options.withDescription("Show again every second, until Ctrl-C")
  )
}

export interface ViewChoice extends NodeChoice {
  readonly output: "table" | "json"
  readonly watch: boolean
}

/** Colour belongs on a terminal whose owner did not decline it (https://no-color.org). */
export const useColour = (): boolean =>
  process.stdout.isTTY === true && (process.env["NO_COLOR"] ?? "") === ""

/**
 * Data, to stdout, without anything added. Done when it is out: a command that has ended leaves at once,
 * and what a pipe has not taken by then is lost.
 */
export const print = (text: string): Effect.Effect<void> =>
  Effect.async((resume) => {
    process.stdout.write(text, "utf8", () => resume(Effect.void))
  })

export interface Showing {
  readonly colour: boolean
  /** Wall clock, ms. */
  readonly now: number
}

export interface View<A, E> {
  readonly fetch: (client: AdminClient) => Effect.Effect<A, E>
  readonly render: (value: A, showing: Showing) => string
}

const once = <A, E>(address: AdminAddress, choice: ViewChoice, view: View<A, E>) =>
  Effect.zipWith(withAdmin(address, view.fetch), Clock.currentTimeMillis, (value, now) => {
    if (choice.output === "table") return view.render(value, { colour: useColour(), now })
    // Watched JSON is one value per line, so that a reader knows where each ends.
    return `${JSON.stringify(value, undefined, choice.watch ? 0 : 2)}\n`
  })

const home = "\u001b[H"
const clearBelow = "\u001b[J"
const clearScreen = "\u001b[2J"

export const showView = <A, E>(choice: ViewChoice, view: View<A, E>) =>
  Effect.gen(function* () {
    const address = yield* chosenNode(choice)
    if (!choice.watch) return yield* Effect.flatMap(once(address, choice, view), print)
    const inPlace = process.stdout.isTTY === true && choice.output === "table"
    if (inPlace) yield* print(clearScreen)
    const show = once(address, choice, view).pipe(
      Effect.flatMap((text) => print(inPlace ? `${home}${clearBelow}${text}` : text)),
      // The node may come back: say so and go on looking.
      Effect.catchAll((error) => Console.error(describeFailure(error) ?? String(error)))
    )
    return yield* Effect.repeat(show, Schedule.spaced("1 second"))
  }).pipe(choice.watch ? doneWhenInterrupted : (self) => self, Effect.asVoid)
