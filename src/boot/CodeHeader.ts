/**
 * V8 takes code only under the flags that it was made under, of which there is a hash in its header. A node
 * changes some once it is up (cli/ProcessMemory.ts), of which compiled code has nothing; and flags are the
 * process's, so to set them back for a moment is to do so for threads that are at work. So code that is kept
 * is told to be of the flags that the process began with.
 */
import { Script } from "node:vm"

/** Where V8 has it, with its version, the features of the processor and the length of the text. */
const headerBytes = 32

/** What code has that is made now. The same text each time, so two differ in what of V8 has changed. */
export const headerNow = (): Uint8Array =>
  Uint8Array.from(new Script("").createCachedData().subarray(0, headerBytes))

/** Tells code of the flags of one header to be of those of the other. Leaves code of none of them as it is. */
export const retell = (code: Uint8Array, from: Uint8Array, to: Uint8Array): void => {
  const changed = [...from.keys()].filter((at) => from[at] !== to[at])
  if (changed.every((at) => code[at] === from[at])) {
    for (const at of changed) code.set(to.subarray(at, at + 1), at)
  }
}
