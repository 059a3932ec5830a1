/**
 * Imported as ES modules, some of Node's own modules cost far more than required: the import reads
 * every export, and reading `WebSocket` of node:http loads the whole of undici (30 ms, 9 MB). A
 * required module is read property by property, as the program does.
 */
import type { Plugin } from "esbuild"

const namespace = "builtin-by-require"

export const builtinsByRequire: Plugin = {
  name: namespace,
  setup(build) {
    // Dynamic imports stay: they want a namespace with names, and have been waited for anyway.
    build.onResolve({ filter: /^(node:)?https?$/ }, ({ path, kind }) =>
      kind === "import-statement"
        ? { path: path.replace(/^(node:)?/, "node:"), namespace }
        : undefined
    )
    build.onLoad({ filter: /.*/, namespace }, ({ path }) => ({
      contents: `module.exports = require(${JSON.stringify(path)})`
    }))
  }
}
