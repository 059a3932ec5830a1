/** What the upstream answers, by path. */

/** 66 bytes, as small as an API's answer gets. */
export const responseBody = `{"answer":"${"x".repeat(52)}"}\n`

export const gibibyte = 1024 ** 3

/** Paths by what they answer with; `/` is the small one, for every method. */
export const paths = {
  small: "/",
  /** Takes uploads of any size. */
  sink: "/sink",
  kib16: "/16k",
  mib1: "/1m",
  mib128: "/128m",
  gib1: "/1g"
} as const

const sizes: Readonly<Record<string, number>> = {
  [paths.small]: responseBody.length,
  [paths.kib16]: 16 * 1024,
  [paths.mib1]: 1024 ** 2,
  [paths.mib128]: gibibyte / 8,
  [paths.gib1]: gibibyte
}

/** Bytes that a path is answered with. */
export const sizeOf = (path: string): number => sizes[path] ?? Number.NaN
