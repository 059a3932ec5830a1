/** What JSON can say, and nothing that somebody else would read in another way, or could not end reading. */

/** Mappings and lists within each other. */
export const maxJsonDepth = 32

const isMapping = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** Keys that are undefined count as not there. */
export const isJson = (value: unknown, depth = maxJsonDepth): boolean => {
  switch (typeof value) {
    case "string":
    case "boolean":
      return true
    case "number":
      return Number.isFinite(value)
    case "object":
      if (value === null) return true
      if (depth === 0) return false
      return Array.isArray(value)
        ? value.every((item) => isJson(item, depth - 1))
        : isMapping(value) &&
            Object.values(value).every((item) => item === undefined || isJson(item, depth - 1))
    default:
      return false
  }
}
