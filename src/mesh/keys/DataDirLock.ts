/**
 * One node per data directory. The lock is a file that names its process; a process is known by
 * pid, start time and boot, since pids are used again: after a reboot, and in a container, where
 * every node may be pid 1. A lock whose process is gone is taken over. Where it cannot be written
 * (the disk is full or read-only) and no other process is seen to hold it, the directory is ours all
 * the same: a full disk must not keep a node from starting that would have gone on running.
 *
 * It guards against mistakes on one host. Hosts or containers that share a directory do not see
 * each other's processes; do not share one.
 */
import { closeSync, openSync, readFileSync, statSync, writeSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { Effect, type Scope } from "effect"
import { DataDirError, discard, inaccessible, isUnwritable, remove, systemCode } from "./KeyFile.ts"

export const lockFileName = "lock"

interface Holder {
  readonly pid: number
  /** Empty where the platform does not tell. */
  readonly started: string
}

/** A process that was killed keeps its pid until its parent, often the killer, asks for it. */
const dead = "dead"

/** When this process began, on which boot; empty when unknown, `dead` when it only waits to be reaped. Linux only. */
const startOf = (pid: number): string => {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    // The second field is the program's name in brackets and may hold blanks; the start time is
    // field 22, so the 20th after the last bracket.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    return fields[0] === "Z" ? dead : `${boot}/${fields[19] ?? ""}`
  } catch {
    return "" // No /proc (macOS, Windows) or no right to read it: the pid alone must do.
  }
}

const exists = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (cause) {
    return systemCode(cause) === "EPERM" // it exists, and is somebody else's
  }
}

/** Locks of this very process, by path: our own pid in any other one is that of a namesake. */
const heldHere = new Set<string>()

const isAlive = (path: string, holder: Holder): boolean => {
  if (holder.pid === process.pid) return heldHere.has(path)
  if (!exists(holder.pid)) return false
  const started = startOf(holder.pid)
  if (started === dead) return false
  return started === "" || holder.started === "" || started === holder.started
}

/** Undefined when there is no lock, or nothing sensible in it (its process died while writing). */
const readHolder = (path: string): Holder | undefined => {
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"))
    if (typeof value !== "object" || value === null) return undefined
    const pid = "pid" in value ? value.pid : undefined
    const started = "started" in value ? value.started : undefined
    return Number.isSafeInteger(pid) && typeof pid === "number" && pid > 0
      ? { pid, started: typeof started === "string" ? started : "" }
      : undefined
  } catch (cause) {
    if (cause instanceof SyntaxError || systemCode(cause) === "ENOENT") return undefined
    throw cause
  }
}

/** False when the file exists. */
const create = (path: string, content: string): boolean => {
  let handle: number
  try {
    handle = openSync(path, "wx", 0o600)
  } catch (cause) {
    if (systemCode(cause) === "EEXIST") return false
    throw cause
  }
  try {
    writeSync(handle, content)
  } catch (cause) {
    discard(path) // empty it would be one that is just being made
    throw cause
  } finally {
    closeSync(handle)
  }
  return true
}

const inUse = (path: string, pid: number | undefined): DataDirError => {
  const dataDir = dirname(path)
  const message =
    pid === undefined
      ? `another process is just taking the data directory ${dataDir}; try again in a moment`
      : `the data directory ${dataDir} is in use by the node with pid ${pid}; stop it first, or give this node a directory of its own`
  return new DataDirError({ code: "locked", path, message })
}

/** An unreadable lock or guard younger than this (ms) may still be in the making. */
const settling = 2_000

const isSettling = (path: string, now: number): boolean => {
  try {
    // One from the future is of a clock that was wrong, be it then or now.
    return Math.abs(now - statSync(path).mtimeMs) < settling
  } catch (cause) {
    if (systemCode(cause) === "ENOENT") return false
    throw cause
  }
}

/** Undefined when the lock is now ours. */
const take = (path: string, now: number): DataDirError | undefined => {
  const own = JSON.stringify({ pid: process.pid, started: startOf(process.pid) })
  if (create(path, own)) return undefined
  const holder = readHolder(path)
  if (holder === undefined ? isSettling(path, now) : isAlive(path, holder)) {
    return inUse(path, holder?.pid)
  }

  // Its process is gone. Of several that see this, the one that makes the guard goes on; it looks
  // again under the guard, since the lock may have got a new, living holder in between.
  const guard = `${path}.takeover`
  if (!create(guard, own)) {
    if (isSettling(guard, now)) return inUse(path, undefined)
    remove(guard) // left by a process that died within these few lines
    if (!create(guard, own)) return inUse(path, undefined)
  }
  try {
    const current = readHolder(path)
    if (current !== undefined && isAlive(path, current)) return inUse(path, current.pid)
    remove(path)
    return create(path, own) ? undefined : inUse(path, readHolder(path)?.pid)
  } finally {
    remove(guard)
  }
}

/** The living process that holds the directory; undefined when none does, or nobody can tell. */
export const lockHolder = (dataDir: string): Effect.Effect<number | undefined> =>
  Effect.sync(() => {
    const path = join(resolve(dataDir), lockFileName)
    try {
      const holder = readHolder(path)
      return holder !== undefined && isAlive(path, holder) ? holder.pid : undefined
    } catch {
      return undefined // It may not be read: whoever asks has other checks for that.
    }
  })

/**
 * Holds the directory until the scope closes. `now` is the wall clock in ms. Fails with `locked`,
 * naming the pid, while another process (or this one) holds it.
 */
export const lockDataDir = (
  dataDir: string,
  now: number
): Effect.Effect<void, DataDirError, Scope.Scope> =>
  Effect.suspend(() => {
    const path = join(resolve(dataDir), lockFileName)
    const acquire = Effect.suspend(() => {
      try {
        const refused = heldHere.has(path) ? inUse(path, process.pid) : take(path, now)
        if (refused !== undefined) return Effect.fail(refused)
        heldHere.add(path)
        return Effect.void
      } catch (cause) {
        return isUnwritable(cause)
          ? withoutFile(path, cause)
          : Effect.fail(inaccessible(path, cause))
      }
    })
    return Effect.acquireRelease(acquire, () => release(path))
  })

/**
 * For a thread of the process that holds the directory: it counts as held here too, until the scope
 * closes, and `renewLock` looks after the file. Taking and giving it free are for who holds it.
 */
export const adoptLock = (dataDir: string): Effect.Effect<void, never, Scope.Scope> =>
  Effect.suspend(() => {
    const path = join(resolve(dataDir), lockFileName)
    return Effect.acquireRelease(
      Effect.sync(() => void heldHere.add(path)),
      () => Effect.sync(() => void heldHere.delete(path))
    )
  })

/** Nobody else holds it, or `take` would have said so before it wrote anything. */
const withoutFile = (path: string, cause: unknown): Effect.Effect<void> =>
  Effect.suspend(() => {
    heldHere.add(path)
    return Effect.logWarning(
      `the lock ${path} cannot be written (${systemCode(cause)}); nobody else holds it, so the node starts without. Free some space, or make the disk writable, and it is written then`
    )
  })

/** A lock that cannot be removed is taken over by whoever comes next, since we are gone then. */
const release = (path: string): Effect.Effect<void> =>
  Effect.suspend(() => {
    heldHere.delete(path)
    try {
      if (readHolder(path)?.pid === process.pid) remove(path)
      return Effect.void
    } catch (cause) {
      return Effect.logWarning(
        `the lock ${path} cannot be removed (${systemCode(cause)}); the next start takes it over`
      )
    }
  })

/**
 * Writes the lock that this process holds once more, where it is missing: the disk was full at the
 * start, or somebody removed it. Fails when another process has taken the directory meanwhile.
 */
export const renewLock = (dataDir: string, now: number): Effect.Effect<void, DataDirError> =>
  Effect.suspend(() => {
    const path = join(resolve(dataDir), lockFileName)
    if (!heldHere.has(path)) return Effect.void
    try {
      if (readHolder(path)?.pid === process.pid) return Effect.void
      return take(path, now) ?? Effect.void
    } catch (cause) {
      return Effect.fail(inaccessible(path, cause))
    }
  })
