/** `skein demo`: a mesh of three nodes with a shop, on this machine. */
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import { Effect } from "effect"
import { doneWhenInterrupted, failCommand } from "./CommandFailed.ts"

/** Beside the sources and the build, part of neither: a path, so that both stand without it. */
const script = new URL("../../examples/shop/demo.ts", import.meta.url)

type RunDemo = (options: { readonly once: boolean }) => Effect.Effect<void, Error>

const loadDemo: Effect.Effect<RunDemo, ReturnType<typeof failCommand>> = Effect.gen(function* () {
  const module: unknown = yield* Effect.tryPromise({
    try: () => import(script.href),
    catch: (cause) =>
      failCommand(
        `the demo at ${script.pathname} cannot be loaded: ${cause}\n  Its programs are in a checkout of Skein: npm ci && npm run demo`
      )
  })
  if (typeof module === "object" && module !== null && "runDemo" in module) {
    // Its file is typed against this very signature; across a computed path nobody checks that.
    if (typeof module.runDemo === "function") return module.runDemo as RunDemo
  }
  return yield* failCommand(`the demo at ${script.pathname} does not export runDemo`)
})

export const demo = Command.make(
  "demo",
  {
    once: Options.boolean("once").pipe(
      Options.withDescription("Run as a checklist: exit code 0 when every step came out right")
    )
  },
  ({ once }) =>
    Effect.flatMap(loadDemo, (runDemo) => runDemo({ once })).pipe(
      once ? (self) => self : doneWhenInterrupted
    )
).pipe(Command.withDescription("Three nodes and a shop on this machine, to see it work"))
