/**
 * What a module of a config or of settings exports, read in a thread of its own: whatever stands in it, a
 * `process.exit`, a wait for what never comes or a loop, ends that thread and not the command or the node.
 */
import { Worker } from "node:worker_threads"
import { Data, Effect, Schema } from "effect"

/** For how long a module may think, ms. */
export const modulePatience = 20_000

/** Of its heap: what it says has to fit into far less. */
const heapMegabytes = 256

/** Why nothing came of it. */
export class ModuleBroken extends Data.TaggedError("ModuleBroken")<{
  /** As Node names it, where it does. */
  readonly code: string | undefined
  readonly message: string
}> {}

const Said = Schema.Union(
  Schema.Struct({ has: Schema.Literal("default"), value: Schema.Unknown }),
  Schema.Struct({ has: Schema.Literal("nothing") }),
  Schema.Struct({
    has: Schema.Literal("failed"),
    code: Schema.optional(Schema.String),
    message: Schema.String
  })
)
const isSaid = Schema.is(Said)

/** Plain text, since no file of a build may be missing where a config is read. */
const program = `
const { parentPort, workerData } = require("node:worker_threads")
const failed = (error) => parentPort.postMessage({
  has: "failed",
  ...(typeof error?.code === "string" ? { code: error.code } : {}),
  ...(error?.name === "DataCloneError" ? { code: error.name } : {}),
  message: String(error)
})
// Standard output is the command's own, which programs read. (On Deno it is not the thread's to divert.)
const { Console } = require("node:console")
globalThis.console = new Console(process.stderr, process.stderr)
import(workerData).then((module) => {
  if (!("default" in module)) return parentPort.postMessage({ has: "nothing" })
  parentPort.postMessage({ has: "default", value: module.default })
}).catch(failed)
`

const broken = (message: string, code?: string) => new ModuleBroken({ code, message })

/** One that awaits when nothing is left that could end the wait is over, too. */
const ended = (code: number): ModuleBroken =>
  broken(
    `is over (exit code ${code}) before it has said anything: it calls process.exit, or awaits what never comes`,
    "ended"
  )

/** The default export, as plain data; undefined: it has none. `url`: of a file. */
export const defaultExport = (
  url: string,
  patience = modulePatience
): Effect.Effect<{ readonly value: unknown } | undefined, ModuleBroken> =>
  Effect.async<{ readonly value: unknown } | undefined, ModuleBroken>((resume) => {
    const worker = new Worker(program, {
      ...{ eval: true, workerData: url, name: "config", stdout: true },
      resourceLimits: { maxOldGenerationSizeMb: heapMegabytes }
    })
    worker.stdout.on("data", (printed: Uint8Array) => void process.stderr.write(printed))
    worker.once("message", (said: unknown) => {
      if (!isSaid(said)) resume(Effect.fail(broken("says nothing that can be read")))
      else if (said.has === "failed") resume(Effect.fail(broken(said.message, said.code)))
      else resume(Effect.succeed(said.has === "default" ? { value: said.value } : undefined))
    })
    worker.once("error", (error: Error & { readonly code?: string }) =>
      resume(Effect.fail(broken(String(error), error.code)))
    )
    worker.once("exit", (code) => resume(Effect.fail(ended(code))))
    return Effect.promise(() => worker.terminate())
  }).pipe(
    Effect.timeoutFail({
      duration: patience,
      onTimeout: () =>
        broken(
          `has said nothing for ${patience / 1_000} s: it waits for something, or never ends`,
          "slow"
        )
    })
  )
