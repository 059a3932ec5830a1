/**
 * libp2p's peer store locks by mortice, whose locks may be asked for by other processes and threads:
 * through node:cluster, and through a BroadcastChannel that is never closed. Nobody asks here, and on
 * Deno the open channel keeps a program from ending. Mortice has the same for single processes, too.
 */
import { join } from "node:path"
import type { Plugin } from "esbuild"

export const singleProcessLocks: Plugin = {
  name: "single-process-locks",
  setup(build) {
    build.onResolve({ filter: /^\.\/node\.js$/ }, ({ importer, resolveDir }) =>
      importer.includes("/node_modules/mortice/")
        ? { path: join(resolveDir, "react-native.js") }
        : undefined
    )
  }
}
