/** How many files and sockets this process has open, and how many it may have. */
import { readdirSync, readFileSync } from "node:fs"

/** Undefined where the system does not list them (Windows). */
export const openDescriptors = (): number | undefined => {
  for (const directory of ["/proc/self/fd", "/dev/fd"]) {
    try {
      // Without the one that the list itself is read through.
      return readdirSync(directory).length - 1
    } catch {
      // Another system keeps them elsewhere.
    }
  }
  return undefined
}

/** The soft limit, which holds; undefined where it cannot be read, or is none. */
export const descriptorLimit = (): number | undefined => {
  try {
    return limitIn(readFileSync("/proc/self/limits", "utf8"))
  } catch {
    return undefined
  }
}

/** Of the text of Linux' `/proc/self/limits`. */
export const limitIn = (text: string): number | undefined => {
  const [, soft] = /^Max open files\s+(\d+)\s/m.exec(text) ?? []
  return soft === undefined ? undefined : Number(soft)
}
