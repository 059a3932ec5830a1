/**
 * Has V8 collect what a thread's start, and whatever came with it, has left, as soon as the thread rests.
 *
 * V8 means to do so by itself (its "memory reducer"): 8 s after a heap has grown it looks, and every 8 s
 * again, and when little is allocated it marks what lives, in steps of a millisecond, and collects the rest.
 * But it weighs allocation on the heap of C++ objects, too, and takes one on which nothing was allocated
 * for one that is as busy as can be: it waits until its patience ends, two minutes after the start. In
 * Node compiled scripts are on that heap, and a thread that only imports modules makes none.
 */
import vm from "node:vm"

/** To be said once by each thread, before it is 8 s old. Changes nothing on runtimes that are not Node. */
export const collectAtRest = (): void => {
  if (process.versions["deno"] === undefined && process.versions["bun"] === undefined) {
    new vm.Script("0")
  }
}
