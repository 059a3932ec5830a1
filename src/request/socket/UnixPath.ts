/** The file of a unix socket that somebody listens at: what was left behind there, and who may connect. */
import { chmod, chown, lstat, unlink } from "node:fs/promises"
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

/**
 * Once somebody listens. Until then it is as the process makes files, which on the usual systems lets
 * nobody connect but its own user: the owner goes first, so that nobody may too early.
 */
export const ownPath = async ({ gid, mode, path, uid }: UnixSpec): Promise<void> => {
  if (uid !== undefined || gid !== undefined) await chown(path, uid ?? -1, gid ?? -1)
  await chmod(path, mode)
}
