/**
 * Memory that a node's process holds and nobody needs: what V8 would give back late or, as a node at rest
 * compiles nothing, never. For a process that is the node's own, so not for programs that embed one.
 */
import v8 from "node:v8"

/** That of Node 24: others have other flags, and complain of those that they do not know. */
const isKnown =
  process.versions["deno"] === undefined &&
  process.versions["bun"] === undefined &&
  process.versions.v8.startsWith("13.")

/**
 * From now on a compilation is freed when it is done. By default V8 leaves what one by Maglev, its middle
 * compiler, took to a thread in the background, which frees it along with a later one: of a burst of
 * new code, as the first requests are, nearly all lies there at once, and malloc keeps the holes.
 *
 * To be said once the code of the node is loaded: what is kept of compiled code, Node's own included,
 * is taken under the flags that it was made with, and under none else.
 */
export const freeCompilationsAtOnce = (): void => {
  if (isKnown) v8.setFlagsFromString("--no-maglev-destroy-on-background")
}

/**
 * From now on a collection drops the bytecode of functions that those before have found unused for so long: of
 * those that only a start needs, above all. By itself V8 waits until six collections have found them unused,
 * which takes a node at rest many minutes. One that is called after all is compiled again.
 */
export const dropUnusedCode = (afterSeconds = 10): void => {
  if (!isKnown) return
  v8.setFlagsFromString("--flush-code-based-on-time")
  v8.setFlagsFromString(`--bytecode-old-time=${afterSeconds}`)
}
