/** Of this project's package.json a program needs the version; the rest, every package's name in it, stays out. */
import { join } from "node:path"
import type { Plugin } from "esbuild"
import manifest from "../package.json" with { type: "json" }

const own = join(import.meta.dirname, "..", "package.json")

export const ownVersion: Plugin = {
  name: "own-version",
  setup(build) {
    build.onLoad({ filter: /[\\/]package\.json$/ }, ({ path }) =>
      path === own
        ? { contents: JSON.stringify({ version: manifest.version }), loader: "json" }
        : undefined
    )
  }
}
