/** What people are told of an error. */

/** How deep causes are told. */
const maxParts = 4

const ofFiles: ReadonlyMap<unknown, string> = new Map([
  ["ENOENT", "there is no such file"],
  ["EACCES", "this user may not read it"],
  ["EISDIR", "it is a directory"]
])

/** Why a file that somebody named cannot be read. */
export const fileReasonOf = (error: unknown): string => {
  const code = error instanceof Error && "code" in error ? error.code : undefined
  return ofFiles.get(code) ?? reasonOf(error)
}

const firstLine = (text: string): string => text.split("\n", 1)[0]!

/** An error and its causes in one line. `tell`: what one of them says by itself. */
export const reasonOf = (
  error: unknown,
  tell: (error: Error) => string = ({ message }) => message
): string => {
  const parts: Array<string> = []
  for (let at = error; at instanceof Error && parts.length < maxParts; at = at.cause) {
    const told = tell(at)
    const text = told === "" ? at.name : firstLine(told)
    if (!parts.some((part) => part.includes(text))) parts.push(text)
    if (at instanceof AggregateError && at.errors.length > 0) {
      const first: unknown = at.errors[0]
      if (first instanceof Error && first.message !== "") parts.push(firstLine(first.message))
    }
  }
  return parts.length === 0 ? String(error) : parts.join(": ")
}
