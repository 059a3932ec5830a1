/** `skein join TOKEN`: `skein up --join TOKEN`, as people say it. */
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import { Effect, Option } from "effect"
import { wrongUsage } from "./CommandFailed.ts"
import { runUp, tokenFileOption, upOptions } from "./up.ts"

export const join = Command.make(
  "join",
  {
    ...upOptions,
    tokenFile: tokenFileOption,
    token: Args.text({ name: "TOKEN" }).pipe(
      Args.withDescription(
        "What `skein invite` printed on a member. Others on the host see what stands here in the list of processes for a moment: better is --token-file, or SKEIN_TOKEN"
      ),
      Args.optional
    )
  },
  ({ token, ...choice }) =>
    Effect.gen(function* () {
      const isNowhere =
        Option.isNone(token) &&
        Option.isNone(choice.tokenFile) &&
        (process.env["SKEIN_TOKEN"] ?? "") === ""
      if (isNowhere) {
        return yield* wrongUsage(
          "join needs the token that `skein invite` printed on a member: as TOKEN, with --token-file FILE (- is standard input), or as SKEIN_TOKEN"
        )
      }
      return yield* runUp({ ...choice, join: token })
    })
).pipe(Command.withDescription("Join a mesh with an invite token, and run the node"))
