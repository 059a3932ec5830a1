/** Errors that say that this process or this system has no room: whoever was to be asked was not. */

const shortages: ReadonlySet<unknown> = new Set(["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"])

/** How deep causes are looked into. */
const maxDepth = 4

/** The error, what caused it, or (of attempts at several addresses) any of them. */
export const isOwnShortage = (error: unknown, depth = 0): boolean => {
  if (!(error instanceof Error) || depth > maxDepth) return false
  if ("code" in error && shortages.has(error.code)) return true
  if (error instanceof AggregateError) {
    return error.errors.some((one: unknown) => isOwnShortage(one, depth + 1))
  }
  return isOwnShortage(error.cause, depth + 1)
}
