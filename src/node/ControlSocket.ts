/**
 * The unix socket at which this node takes changes, always open beside the admin address: who may
 * open it is the node's user, and nobody else. Where the data directory has no room for one, it is
 * elsewhere; where none can be, the node serves all the same. One that was deleted is made again.
 */
import { lstatSync, mkdirSync, statSync } from "node:fs"
import { dirname } from "node:path"
import { Effect, Exit, Scope } from "effect"
import type { AdminListenError } from "../admin/AdminPort.ts"
import type { AdminToken } from "../admin/AdminToken.ts"
import { controlPlaces, shortSocketDirectory } from "../admin/ControlPlace.ts"
import { lookingAfter, restFor, type TickTimers } from "../mesh/actor/Ticking.ts"

/** How often it is looked whether socket and token are still there. */
const lookEvery = 5_000

export interface ControlSocketOptions {
  readonly dataDir: string
  readonly token: Pick<AdminToken, "isKept" | "keep">
  /** Listens on a path until the scope closes. */
  readonly open: (path: string) => Effect.Effect<unknown, AdminListenError, Scope.Scope>
  /** By whose timers it is looked after. Default: the clock of its fiber. */
  readonly ticker?: TickTimers | undefined
}

interface Open {
  readonly path: string
  readonly scope: Scope.CloseableScope
  /** Of the file that was made: another one is somebody else's. */
  readonly inode: number | undefined
}

const found = (path: string) => statSync(path, { throwIfNoEntry: false })

/** Everybody may write to /tmp: what is there under our name must be ours alone. */
const shortDirectoryProblem = (path: string): string | undefined => {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
    const place = lstatSync(path)
    const isOurs = place.isDirectory() && place.uid === process.getuid?.()
    if (isOurs && (place.mode & 0o077) === 0) return undefined
    return `${path} is not a directory of this user alone`
  } catch (cause) {
    return cause instanceof Error ? cause.message : String(cause)
  }
}

export class ControlSocket {
  readonly #options: ControlSocketOptions
  /** The better ones first. */
  readonly #places: ReadonlyArray<string>
  /** Of the data directory at the start: on another one it is not ours (a volume that went away). */
  readonly #device: number | undefined
  #open: Open | undefined
  #told: string | undefined

  private constructor(options: ControlSocketOptions) {
    this.#options = options
    this.#places = controlPlaces(options.dataDir)
    this.#device = found(options.dataDir)?.dev
  }

  /** Open, if it can be; looked after until the scope closes. */
  static readonly make = (
    options: ControlSocketOptions
  ): Effect.Effect<ControlSocket, never, Scope.Scope> =>
    Effect.gen(function* () {
      const control = yield* Effect.acquireRelease(
        Effect.sync(() => new ControlSocket(options)),
        (it) => it.#close
      )
      yield* control.#tend
      const tend = Effect.uninterruptible(control.#tend)
      const { ticker } = options
      if (ticker === undefined) {
        const again = Effect.zipRight(restFor(lookEvery, ticker), tend)
        yield* Effect.forkScoped(Effect.forever(again))
      } else {
        yield* lookingAfter(ticker, lookEvery, () => (control.#isInOrder ? undefined : tend))
      }
      return control
    })

  /** The socket's path; undefined while it is not open. */
  get path(): string | undefined {
    return this.#open?.path
  }

  get #close(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const open = this.#open
      this.#open = undefined
      return open === undefined ? Effect.void : Scope.close(open.scope, Exit.void)
    })
  }

  /** Is there nothing to mend, nor anything to be told? */
  get #isInOrder(): boolean {
    const { token } = this.#options
    const open = this.#open
    try {
      return (
        open !== undefined &&
        open.path === this.#places[0] &&
        found(open.path)?.ino === open.inode &&
        !this.#told &&
        (!this.#isOurs || token.isKept)
      )
    } catch {
      return false // the system says why when it is tended
    }
  }

  get #tend(): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      const open = this.#open
      if (open !== undefined && found(open.path)?.ino !== open.inode) {
        yield* this.#close
        yield* Effect.logWarning(`the control socket ${open.path} had gone and is made again`)
      }
      const problems: Array<string> = []
      for (const path of this.#places) {
        if (path === this.#open?.path) break
        const problem = yield* this.#openAt(path)
        if (problem === undefined) break
        problems.push(problem)
      }
      if (this.#isOurs) {
        yield* Effect.catchAll(this.#options.token.keep, ({ message }) =>
          Effect.sync(() => problems.push(message))
        )
      }
      yield* this.#tell(problems)
    }).pipe(Effect.catchAllDefect((defect) => Effect.logError("the control socket broke", defect)))
  }

  /** The problem; undefined when it is open there now, and no more where it was before. */
  #openAt(path: string): Effect.Effect<string | undefined> {
    return Effect.gen(this, function* () {
      const isShort = dirname(path) === shortSocketDirectory()
      if (!isShort && !this.#isOurs) {
        return `${dirname(path)} is not the directory in which this node was started`
      }
      const problem = isShort ? shortDirectoryProblem(dirname(path)) : undefined
      if (problem !== undefined) return problem
      const scope = yield* Scope.make()
      const failure = yield* Scope.extend(this.#options.open(path), scope).pipe(
        Effect.match({ onFailure: ({ message }) => message, onSuccess: () => undefined })
      )
      if (failure !== undefined) {
        yield* Scope.close(scope, Exit.void)
        return failure
      }
      yield* this.#close
      this.#open = { path, scope, inode: found(path)?.ino }
      return undefined
    })
  }

  get #isOurs(): boolean {
    return this.#device !== undefined && found(this.#options.dataDir)?.dev === this.#device
  }

  /** Each problem once, until there is none. */
  #tell(problems: ReadonlyArray<string>): Effect.Effect<void> {
    const text = problems.join("; ")
    if (text === (this.#told ?? "")) return Effect.void
    this.#told = text
    if (text === "") return Effect.void
    const where = this.path
    return Effect.logWarning(
      where === undefined
        ? `this node takes no changes for now, requests go on: ${text}`
        : `changes are taken at ${where} for now: ${text}`
    )
  }
}
