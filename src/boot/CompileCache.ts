/**
 * Compiled code is kept between runs where the runtime can (Node): it halves the time to the first
 * word. That must be said before anything else is imported. Whoever may
 * write there can have this user run anything, so it is never kept in a directory that users share, as
 * Node's default in /tmp is: in NODE_COMPILE_CACHE when that is set, else among this user's own caches.
 * Where neither can be written, starting takes longer, and that is all.
 */
import module from "node:module"
import { homedir } from "node:os"
import { join } from "node:path"

export const enableCompileCache = (): void => {
  module.enableCompileCache?.(
    process.env["NODE_COMPILE_CACHE"] ??
      join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "skein")
  )
}
