/** `skein join TOKEN`: `skein up --join TOKEN`, as people say it. */
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import { Option } from "effect"
import { runUp, upOptions } from "./up.ts"

export const join = Command.make(
  "join",
  {
    ...upOptions,
    token: Args.text({ name: "TOKEN" }).pipe(
      Args.withDescription("What `skein invite` printed on a member")
    )
  },
  ({ token, ...choice }) => runUp({ ...choice, join: Option.some(token) })
).pipe(Command.withDescription("Join a mesh with an invite token, and run the node"))
