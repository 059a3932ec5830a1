#!/usr/bin/env node
/**
 * The `skein` command. Also runs as `deno run -A src/main.ts`.
 *
 * Compiled code is cached between runs where the runtime can (Node): it halves the time to the
 * first word. That must be said before anything else is imported.
 */
import module from "node:module"

module.enableCompileCache?.()
const { main } = await import("./cli/Main.ts")
main()
