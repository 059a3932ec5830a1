#!/usr/bin/env -S node --max-semi-space-size=2 --single-threaded-gc
/**
 * The `skein` command. Also runs as `deno run -A src/main.ts`.
 *
 * What the first line says, the units of mesh-nodes/ say too. The first flag keeps the heap's young
 * generation small: 15 MB less resident at rest and 30 MB less after load, for the same processor
 * time per request.
 *
 * A node of the build is run from one script, whose functions are kept compiled (boot/KeptCode.ts); other
 * commands from modules, of which they load what they need.
 */
import { enableCompileCache } from "./boot/CompileCache.ts"
import { programs } from "./boot/Programs.ts"

enableCompileCache()
const isNode = process.versions["deno"] === undefined && process.versions["bun"] === undefined
if (isNode && programs.command !== "" && ["up", "join"].includes(process.argv[2] ?? "")) {
  const { runProgram } = await import("./boot/KeptCode.ts")
  runProgram(new URL(`./up/${programs.command}`, import.meta.url))
} else {
  const { main } = await import("./cli/Main.ts")
  const { runSkein } = await import("./cli/Skein.ts")
  main(runSkein)
}
