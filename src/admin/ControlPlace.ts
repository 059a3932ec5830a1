/**
 * Where on this host a node can be told to change something: the socket and the token of its data
 * directory. The node and the commands find them by the same rule, so neither has to tell the other.
 */
import { createHash } from "node:crypto"
import { existsSync } from "node:fs"
import { join, resolve } from "node:path"

/** What a socket's path may have in bytes: 108 on Linux and 104 on macOS and BSD, with a NUL at the end. */
const maxSocketPath = process.platform === "linux" ? 107 : 103

/** The owner of what has no room in the data directory. Undefined on Windows, which has no such numbers. */
const userId = (): string => String(process.getuid?.() ?? "user")

/** Holds the sockets of this user's nodes whose data directories have too long a path; for the user only. */
export const shortSocketDirectory = (user = userId()): string => `/tmp/skein-${user}`

/**
 * Where the socket is, the better place first: `admin.sock` in the data directory, and, where that is
 * longer than a socket's path may be or the directory cannot take one, a name made from it in
 * `/tmp/skein-<uid>`.
 */
export const controlPlaces = (dataDir: string, user = userId()): ReadonlyArray<string> => {
  const whole = resolve(dataDir)
  const path = join(whole, "admin.sock")
  const name = createHash("sha256").update(whole).digest("hex").slice(0, 32)
  const short = join(shortSocketDirectory(user), `${name}.sock`)
  return Buffer.byteLength(path) <= maxSocketPath ? [path, short] : [short]
}

/** Where the socket of a node on this data directory is or, if there is none, would be. */
export const controlSocket = (dataDir: string): string => {
  const places = controlPlaces(dataDir)
  return places.find((path) => existsSync(path)) ?? places[0] ?? ""
}

export const controlToken = (dataDir: string): string => join(resolve(dataDir), "admin.token")

/** Of programs that attach at a port. */
export const programToken = (dataDir: string): string => join(resolve(dataDir), "programs.token")
