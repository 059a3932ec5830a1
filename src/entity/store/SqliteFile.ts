/** A database in a file (node:sqlite), which several processes of one host may have open. */
import { closeSync, openSync } from "node:fs"
import type { DatabaseSync } from "node:sqlite"

export interface SqliteFileOptions {
  /** Made when there is none, readable by its owner alone; two more lie beside it, named `-wal` and `-shm`. */
  readonly file: string
  /**
   * What an acknowledged save outlives. `power` (default): the host's end too, a few milliseconds of the disk
   * for each turn in which something is saved. `process`: any end of the program, but not that of the host.
   */
  readonly durability?: "power" | "process"
  /** Milliseconds that the thread stands still for another process which is writing. Default 1,000. */
  readonly busy?: number
}

/**
 * Throws what SQLite and the file system say.
 *
 * @internal
 */
export const openSqliteFile = async ({
  busy = 1_000,
  durability = "power",
  file
}: SqliteFileOptions): Promise<DatabaseSync> => {
  // Not before a program wants it: on some versions of Node its import alone writes a warning.
  const { DatabaseSync } = await import("node:sqlite")
  // Its files beside it get the same rights.
  closeSync(openSync(file, "a", 0o600))
  const db = new DatabaseSync(file)
  db.exec(`pragma busy_timeout = ${Math.round(busy)}`)
  db.exec("pragma journal_mode = wal")
  db.exec(`pragma synchronous = ${durability === "power" ? "full" : "normal"}`)
  return db
}
