/** What is wrong with a value that a person wrote: where in it, and what was expected there. */

export type ProblemPath = ReadonlyArray<string | number>

export interface Problem {
  readonly path: ProblemPath
  /** The key itself is wrong (unknown, a bad service name), not its value. */
  readonly about: "key" | "value"
  readonly message: string
  /** The known key or word that was probably meant. */
  readonly suggestion?: string | undefined
}

/** `services[1].health.http.path` */
export const formatPath = (path: ProblemPath): string => {
  let text = ""
  for (const key of path) {
    if (typeof key === "number") text += `[${key}]`
    else if (/^[A-Za-z_][\w-]*$/.test(key)) text += text === "" ? key : `.${key}`
    else text += `[${JSON.stringify(key)}]`
  }
  return text
}
