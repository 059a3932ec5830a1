/**
 * Schema can make up values for tests, by fast-check, which it imports whether or not somebody does. The command
 * makes up none, so it and its mesh thread carry 70 KB less of text and what is made of it when it is loaded.
 */
import type { Plugin } from "esbuild"

const namespace = "no-arbitraries"

export const noArbitraries: Plugin = {
  name: namespace,
  setup(build) {
    build.onResolve({ filter: /^fast-check$/ }, ({ path }) => ({ path, namespace }))
    build.onLoad({ filter: /.*/, namespace }, () => ({
      contents: `export const array=()=>{throw new Error("fast-check is not in this build")}`
    }))
  }
}
