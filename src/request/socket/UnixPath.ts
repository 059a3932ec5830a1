/** The file of a unix socket that somebody listens at: what was left behind there, and who may connect. */
import { constants, type Stats } from "node:fs"
import { chmod, chown, lchown, lstat, open, stat, unlink } from "node:fs/promises"
import { connect } from "node:net"
import { dirname } from "node:path"

export interface UnixSpec {
  readonly path: string
  /** Its permissions. */
  readonly mode: number
  /** Whose it is to be; undefined: it stays as it was made. */
  readonly uid: number | undefined
  readonly gid: number | undefined
}

const systemCode = (error: unknown): string | undefined =>
  error instanceof Error && "code" in error ? String(error.code) : undefined

/** What else is there, that nobody may remove. */
class NoSocket extends Error {
  readonly code = "ENOTSOCK"
}

/**
 * Removes a socket that nobody listens at: a process that was killed leaves its own behind. One that
 * is in use stays, and whoever listens then is told; a file that is no socket is somebody's.
 */
export const clearPath = async (path: string): Promise<void> => {
  try {
    if (!(await lstat(path)).isSocket()) throw new NoSocket(`${path} is no socket`)
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw error
    // The same word for a directory that is not there, which listening there would not say.
    await lstat(dirname(path))
    return
  }
  if (await isLeftBehind(path)) await unlink(path)
}

const isLeftBehind = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = connect(path)
    probe.once("connect", () => {
      probe.destroy()
      resolve(false)
    })
    probe.once("error", (error) => resolve(systemCode(error) === "ECONNREFUSED"))
  })

/** Who may write to the directory has put something else in the socket's place. */
const replaced = (path: string): Error =>
  new Error(
    `${path} was put in the place of the socket that was made there; choose a directory that nobody else may write to`
  )

/** Nobody else has made it, or has another name for it. */
const isOwnSocket = (file: Stats): boolean =>
  file.isSocket() && file.nlink === 1 && file.uid === (process.geteuid?.() ?? file.uid)

/**
 * Once somebody listens. Until then it is as the process makes files, which on the usual systems lets
 * nobody connect but its own user: the owner goes first, so that nobody may too early. What is changed is
 * the socket that was looked at, and never what another user has put at its path meanwhile: a node that
 * runs as root would give that away.
 */
export const ownPath = (spec: UnixSpec): Promise<void> =>
  process.platform === "linux" ? ownByHandle(spec) : ownByName(spec)

/** Linux's, which Node has no name for: the file itself, not to be read from. */
const openPath = 0o10000000

const ownByHandle = async ({ gid, mode, path, uid }: UnixSpec): Promise<void> => {
  const file = await open(path, openPath | constants.O_NOFOLLOW)
  try {
    if (!isOwnSocket(await file.stat())) throw replaced(path)
    // A handle of this kind cannot be changed itself; this name of it leads to no other file.
    const own = `/proc/self/fd/${file.fd}`
    if (uid !== undefined || gid !== undefined) await chown(own, uid ?? -1, gid ?? -1)
    await chmod(own, mode)
  } finally {
    await file.close()
  }
}

/** Where there are no such handles: only in a directory where nobody else can replace it, as sshd has it. */
export const ownByName = async ({ gid, mode, path, uid }: UnixSpec): Promise<void> => {
  const directory = await stat(dirname(path))
  const writable = (directory.mode & 0o022) !== 0 && (directory.mode & 0o1000) === 0
  if (writable || ![0, process.geteuid?.() ?? 0].includes(directory.uid)) {
    throw new Error(
      `others may write to its directory, and could put another file in its place; choose one that only its owner may write to`
    )
  }
  if (!isOwnSocket(await lstat(path))) throw replaced(path)
  if (uid !== undefined || gid !== undefined) await lchown(path, uid ?? -1, gid ?? -1)
  await chmod(path, mode)
}
