/**
 * Memory that a node's process holds and nobody needs: what V8 would give back late or, as a node at rest
 * allocates little, never. For a process that is the node's own, so not for programs that embed one.
 */
import v8 from "node:v8"
import vm from "node:vm"

/** Other runtimes have other flags. */
const isNode = process.versions["deno"] === undefined && process.versions["bun"] === undefined

/**
 * From now on a compilation is freed when it is done. By default V8 leaves what one by Maglev, its middle
 * compiler, took to a thread in the background, which frees it along with a later one: of a burst of
 * new code, as the first requests are, nearly all lies there at once, and malloc keeps the holes.
 *
 * To be said once the code of the node is loaded: what is kept of compiled code, Node's own included,
 * is taken under the flags that it was made with, and under none else.
 */
export const freeCompilationsAtOnce = (): void => {
  if (isNode) v8.setFlagsFromString("--no-maglev-destroy-on-background")
}

/** Collects this thread's garbage, all of it: the thread stands still for some 100 ms. */
export const collectGarbage = (): void => {
  if (!isNode) return
  v8.setFlagsFromString("--expose-gc")
  const collect: unknown = vm.runInNewContext("gc")
  v8.setFlagsFromString("--no-expose-gc")
  if (typeof collect === "function") collect()
}
