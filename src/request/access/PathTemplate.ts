/**
 * From paths that were seen to the few patterns that people would write for them: what looks like the
 * id of a thing is any such thing.
 */

/** Digits; hex with a digit in it, from 8 on; UUIDs; long words with digits and letters of both cases. */
const idLike = [
  /^\d+$/,
  /^(?=.*\d)[0-9a-f]{8,}$/i,
  /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i,
  /^(?=.*\d)(?=.*[a-z])(?=.*[A-Z])[\w-]{16,}$/
]

export const looksLikeId = (segment: string): boolean => idLike.some((one) => one.test(segment))

/** Null: any one segment. `path` begins with a slash. */
export const templateOf = (path: string): ReadonlyArray<string | null> =>
  path
    .slice(1)
    .split("/")
    .map((segment) => (looksLikeId(segment) ? null : segment))
