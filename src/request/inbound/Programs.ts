/**
 * Programs that serve without a port: what is called is handed to them as it came (model/Exchange.ts),
 * with no HTTP/1.1 between. They are in this thread, or attached to their host's node by links.
 */
import type { AttachedProgram } from "../../model/AttachedProgram.ts"
import type { Dispatch } from "../../model/Exchange.ts"
import type { ServiceName } from "../../model/Names.ts"

/** A link that an attached program has to this thread. */
export interface ProgramLink {
  /** Of one that the node calls on; undefined: the program calls on it. */
  readonly open: Dispatch | undefined
  /** It would carry a call. */
  readonly available: () => boolean
  readonly drain: (reason: string) => void
  readonly abort: (error: Error) => void
}

/** Links of one program to one thread, with those that are being replaced. */
export const maxProgramLinks = 8

export class Programs {
  readonly #served = new Map<string, Dispatch>()
  readonly #byPass = new Map<string, AttachedProgram>()
  readonly #links = new Map<string, Set<ProgramLink>>()
  #attached: ReadonlySet<string> = new Set()
  readonly #awaited = new Map<string, Set<() => void>>()
  /** Hears whether calls can come to a program from here. */
  onReach: (program: string, reached: boolean) => void = () => undefined

  /** Takes the calls of this endpoint from now on; returns how to end that. */
  serve(service: ServiceName, id: string, dispatch: Dispatch): () => void {
    const key = keyOf(service, id)
    this.#served.set(key, dispatch)
    return () => {
      if (this.#served.get(key) === dispatch) this.#served.delete(key)
    }
  }

  get(service: ServiceName, id: string): Dispatch | undefined {
    return this.#served.get(keyOf(service, id))
  }

  /** Those that are attached, all of them. Links of others end at once. */
  setAttached(programs: ReadonlyArray<AttachedProgram>): void {
    this.#byPass.clear()
    for (const program of programs) this.#byPass.set(program.pass, program)
    const present = new Set(programs.map(({ id }) => id))
    this.#attached = present
    for (const [id, links] of this.#links) {
      if (present.has(id)) continue
      for (const link of [...links]) link.abort(new Error("the program has gone"))
    }
    for (const id of [...this.#awaited.keys()]) if (!present.has(id)) this.#settle(id)
  }

  /** Says anew to which of them calls can come from here. */
  sayReached(): void {
    for (const id of this.#attached) if (this.open(id) !== undefined) this.onReach(id, true)
  }

  /** It is attached, so it will have a link to this thread in a moment when it has none. */
  isAttached(program: string): boolean {
    return this.#attached.has(program)
  }

  /** Once: when calls can come to it from here, or it has gone; returns how to stop waiting. */
  whenReached(program: string, then: () => void): () => void {
    const waiting = this.#awaited.get(program) ?? new Set()
    this.#awaited.set(program, waiting)
    waiting.add(then)
    return () => {
      waiting.delete(then)
      if (waiting.size === 0 && this.#awaited.get(program) === waiting) {
        this.#awaited.delete(program)
      }
    }
  }

  #settle(program: string): void {
    const waiting = this.#awaited.get(program) ?? []
    this.#awaited.delete(program)
    for (const then of waiting) then()
  }

  find(pass: string): AttachedProgram | undefined {
    return this.#byPass.get(pass)
  }

  /** False: it has as many as it may. */
  mayLink(program: string): boolean {
    return (this.#links.get(program)?.size ?? 0) < maxProgramLinks
  }

  /** It has a further link; returns what to do when that is gone. */
  link(program: string, link: ProgramLink): () => void {
    const links = this.#links.get(program) ?? new Set<ProgramLink>()
    this.#links.set(program, links)
    const before = this.open(program) !== undefined
    links.add(link)
    if (!before && link.open !== undefined) {
      this.onReach(program, true)
      this.#settle(program)
    }
    return () => {
      if (!links.delete(link)) return
      if (links.size === 0 && this.#links.get(program) === links) this.#links.delete(program)
      if (link.open !== undefined && this.open(program) === undefined) {
        this.onReach(program, false)
      }
    }
  }

  /** Where calls to an attached program go; undefined: it cannot be reached from here. */
  open(program: string): Dispatch | undefined {
    for (const { available, open } of this.#links.get(program) ?? []) {
      if (open !== undefined && available()) return open
    }
    return undefined
  }
}

const keyOf = (service: ServiceName, id: string): string => `${service}/${id}`
