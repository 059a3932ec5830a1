/**
 * The audit log's file: appended to, and moved aside before it grows beyond its bound, so that all of
 * it together has one. Opened for each write, which there are few of: a rotator may take the file away
 * at any time, and a disk can be made read-only. Not written on another file system than at the
 * start: a volume that is not mounted any more.
 */
import { open, rename, stat, unlink } from "node:fs/promises"
import { dirname } from "node:path"

export interface AuditFileOptions {
  readonly path: string
  /** Bytes of one file. */
  readonly maxBytes: number
  /** Files there are at most, the one that is written among them: `audit.log.1` is the latest of the others. */
  readonly files: number
}

const codeOf = (cause: unknown): string | undefined =>
  cause instanceof Error && "code" in cause ? String(cause.code) : undefined

const unlessMissing = async <A>(doing: Promise<A>): Promise<A | undefined> => {
  try {
    return await doing
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return undefined
    throw cause
  }
}

export class AuditFile {
  readonly #options: AuditFileOptions
  #device: number | undefined

  constructor(options: AuditFileOptions) {
    this.#options = options
  }

  /** All of it or an error; one at a time. */
  async append(text: string): Promise<void> {
    const { maxBytes, path } = this.#options
    const { dev } = await stat(dirname(path))
    this.#device ??= dev
    if (dev !== this.#device) {
      throw new Error(`${dirname(path)} is not on the file system on which it was at the start`)
    }
    const bytes = Buffer.from(text)
    const size = (await unlessMissing(stat(path)))?.size ?? 0
    const isFull = size > 0 && size + bytes.length > maxBytes
    if (isFull) await this.#rotate()
    const file = await open(path, "a", 0o600)
    try {
      await file.appendFile(bytes)
    } catch (cause) {
      // Half a line helps nobody, and all of it is written again.
      await file.truncate(isFull ? 0 : size)
      throw cause
    } finally {
      await file.close()
    }
  }

  async #rotate(): Promise<void> {
    const { files, path } = this.#options
    const name = (index: number) => (index === 0 ? path : `${path}.${index}`)
    await unlessMissing(unlink(name(files - 1)))
    for (let index = files - 2; index >= 0; index--) {
      await unlessMissing(rename(name(index), name(index + 1)))
    }
  }
}
