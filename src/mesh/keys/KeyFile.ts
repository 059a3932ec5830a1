/**
 * Files that must survive a crash and must not be read by others: written whole to a temporary
 * file, flushed, renamed over the old one. Mode 0600 in a directory of mode 0700.
 */
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync
} from "node:fs"
import { dirname } from "node:path"
import { Data, Effect } from "effect"

export type DataDirErrorCode =
  /** No identity here yet. */
  | "no_identity"
  /** An identity or a key is here already, and would be lost. */
  | "already_initialised"
  /** Missing rights, or the file system refuses. */
  | "inaccessible"
  /** A key that others on this host can read. */
  | "too_open"
  /** Not what was written here. */
  | "corrupted"
  /** A mesh name that cannot be one. */
  | "invalid_name"
  /** Another process works on this directory. */
  | "locked"

export class DataDirError extends Data.TaggedError("DataDirError")<{
  readonly code: DataDirErrorCode
  /** The file or directory that is meant. */
  readonly path: string
  readonly message: string
}> {}

/** The system's code of a failed call: `ENOENT`, `EACCES`… */
export const systemCode = (cause: unknown): string =>
  cause instanceof Error && "code" in cause ? String(cause.code) : "unknown"

const unwritableCodes: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT", "EROFS", "EIO"])

/** The disk is full, read-only or broken: reading may still work, and time may mend it. */
export const isUnwritable = (cause: unknown): boolean => unwritableCodes.has(systemCode(cause))

export const inaccessible = (path: string, cause: unknown): DataDirError =>
  new DataDirError({
    code: "inaccessible",
    path,
    message: `cannot use ${path}: ${cause instanceof Error ? cause.message : String(cause)}; check owner, mode and free space`
  })

export const corrupted = (path: string, why: string): DataDirError =>
  new DataDirError({
    code: "corrupted",
    path,
    message: `${path} is damaged or not a file of this node: ${why}; restore it from a backup, or remove the data directory and join again with an invite`
  })

export const attempt = <A>(path: string, run: () => A): Effect.Effect<A, DataDirError> =>
  Effect.try({ try: run, catch: (cause) => inaccessible(path, cause) })

/** Makes the directory, for its owner only, where it does not exist. */
export const ensureDirectory = (path: string): Effect.Effect<void, DataDirError> =>
  attempt(path, () => {
    mkdirSync(path, { recursive: true, mode: 0o700 })
  })

const syncDirectory = (path: string): void => {
  let handle: number
  try {
    handle = openSync(path, "r")
  } catch {
    return // Not every platform opens directories; the rename is then as durable as it gets.
  }
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}

/** Replaces the file: after a crash at any point it is the old one or the new one. */
export const writePrivateFile = (
  path: string,
  content: Uint8Array
): Effect.Effect<void, DataDirError> =>
  attempt(path, () => {
    // The lock admits one writer per directory, so one name for what is being written will do.
    const temporary = `${path}.new`
    remove(temporary)
    try {
      writeNew(temporary, content)
      renameSync(temporary, path)
    } catch (cause) {
      discard(temporary)
      throw cause
    }
    syncDirectory(dirname(path))
  })

/** Not `rmSync`, whose errors say no code. */
export const remove = (path: string): void => {
  try {
    unlinkSync(path)
  } catch (cause) {
    if (systemCode(cause) !== "ENOENT") throw cause
  }
}

const writeNew = (path: string, content: Uint8Array): void => {
  const handle = openSync(path, "wx", 0o600)
  try {
    for (let at = 0; at < content.length; ) at += writeSync(handle, content, at)
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}

/** Half a file on a full disk helps nobody, and takes the room that would mend it. */
export const discard = (path: string): void => {
  try {
    remove(path)
  } catch {
    // Why it could not be written says all there is to say.
  }
}

/** The whole file; undefined when it does not exist. */
export const readPrivateFile = (
  path: string,
  maxBytes: number
): Effect.Effect<Uint8Array | undefined, DataDirError> =>
  Effect.suspend(() => {
    try {
      const { size } = statSync(path)
      if (size > maxBytes) {
        return Effect.fail(corrupted(path, `it has ${size} bytes; ${maxBytes} is the limit`))
      }
      return Effect.succeed(new Uint8Array(readFileSync(path)))
    } catch (cause) {
      return systemCode(cause) === "ENOENT"
        ? Effect.succeed(undefined)
        : Effect.fail(inaccessible(path, cause))
    }
  })
