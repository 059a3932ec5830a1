/** From the arguments to the exit code. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect } from "effect"
import { exitCodeOf } from "./CommandFailed.ts"

export const main = <E>(
  run: (argv: ReadonlyArray<string>) => Effect.Effect<void, E, NodeContext.NodeContext>
): void => {
  // `skein members --watch | head`: whoever read us has seen enough.
  process.stdout.on("error", (error) => {
    process.exit("code" in error && error.code === "EPIPE" ? 0 : 1)
  })

  NodeRuntime.runMain(run(process.argv).pipe(Effect.provide(NodeContext.layer)), {
    disableErrorReporting: true,
    disablePrettyLogger: true,
    // A command that is done ends at once; it does not wait for idle sockets to time out.
    teardown: (exit) => process.exit(exitCodeOf(exit))
  })
}
