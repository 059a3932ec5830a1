/**
 * A bug that threw: it is contained where it happens, what it held is freed, and this is told.
 * Whoever puts things together says where it goes (cells/DefectLog.ts).
 */

/** `where`: a few words for people and for a label, of which there are few; never what a peer says. */
export type OnDefect = (error: unknown, where: string) => void

/** Who is told of none: it is thrown on, to whoever called, as a crash. */
export const uncontained: OnDefect = (error) => {
  throw error
}

/** Runs what must not disturb the caller. Not for what runs per request: there a `try` is cheaper. */
export const contain = (onDefect: OnDefect, where: string, run: () => void): void => {
  try {
    run()
  } catch (error) {
    onDefect(error, where)
  }
}
