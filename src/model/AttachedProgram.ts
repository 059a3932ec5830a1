/** A program that is attached to this node: it calls, and it serves without a port. */
import type { Caller } from "./Caller.ts"

export interface AttachedProgram {
  /** What the node calls it; unique among those that are attached. */
  readonly id: string
  /** Whoever shows it is this program: the node gave it to it, and to nobody else. */
  readonly pass: string
  /** For whom its calls speak: what its socket grants. */
  readonly identity: Caller
}

/** Where in an attached program the calls of an endpoint go. */
export interface ProgramPlace {
  /** Its id. */
  readonly program: string
  /** What the program itself calls the endpoint. */
  readonly endpoint: string
}

export const samePlace = (a: ProgramPlace | undefined, b: ProgramPlace | undefined): boolean =>
  a?.program === b?.program && a?.endpoint === b?.endpoint

/** Ids that programs give to endpoints which are called by name: of their own making, so that no two are one. */
export const isNamedId = (id: string): boolean => /^program-[0-9a-f]{12}$/.test(id)

/** Programs that are attached to a node at a time. */
export const maxPrograms = 128

/** Where a request thread has the links of programs whose node listens at `path`. */
export const programPath = (path: string, thread: number): string => `${path}.${thread}`
