/** `skein drain`: take nothing new, finish what is running, stay up. */
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import { Console, Effect, Schedule } from "effect"
import { withAdmin } from "../admin/AdminClient.ts"
import { chosenControl, controlOptions } from "./ChosenNode.ts"
import { failCommand } from "./CommandFailed.ts"
import { counted, span } from "./Figures.ts"

export const drain = Command.make(
  "drain",
  {
    ...controlOptions,
    noWait: Options.boolean("no-wait").pipe(
      Options.withDescription("Return at once, not when nothing is in flight any more")
    )
  },
  (choice) =>
    Effect.gen(function* () {
      const control = yield* chosenControl(choice)
      const begun = yield* withAdmin(control, (client) => client.actions.drain({}), "1 minute")
      yield* Console.error(
        `draining: announced to ${begun.acknowledged} of ${counted(begun.members, "member")}, ${counted(begun.inFlight, "exchange")} in flight`
      )
      if (choice.noWait) return
      const idle = withAdmin(control, (client) => client.views.status({})).pipe(
        Effect.flatMap(({ counts }) =>
          counts.inFlight === 0 ? Effect.void : Effect.fail("busy" as const)
        )
      )
      // A second more than the node itself gives what is running.
      yield* idle.pipe(
        Effect.retry({
          while: (error) => error === "busy",
          schedule: Schedule.spaced("200 millis")
        }),
        Effect.timeoutFail({
          duration: begun.deadlineMs + 1_000,
          onTimeout: () =>
            failCommand(
              `not drained within ${span(begun.deadlineMs)}: exchanges are still in flight; see drain.deadline in the config`
            )
        })
      )
      yield* Console.error("drained: nothing is in flight; the node stays up until it is stopped")
    })
).pipe(Command.withDescription("Take nothing new and finish what is running; the node stays up"))
