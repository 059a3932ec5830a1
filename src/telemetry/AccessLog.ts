/**
 * One JSON line per exchange, gathered per turn of the event loop into one write. A slow disk
 * never holds up a request: past the bound, lines are dropped and counted. Lines of other threads come
 * by the batch.
 */
import { closeSync, openSync, write } from "node:fs"
import type { LinesTaken } from "../request/cells/AccessLines.ts"
import { type AccessLogEntry, type AccessLogSink, lineOf } from "../request/cells/AccessLogEntry.ts"
import type { Counter } from "../request/cells/Cells.ts"
import type { MetricRegistry } from "../request/cells/Metrics.ts"

/** Where text goes; one write at a time. */
export interface TextSink {
  write(text: string, done: (error: Error | undefined) => void): void
  /** After the file was moved away by a log rotator. */
  reopen(): void
  close(): void
}

/** Appends to a file, made with mode 0640 when missing. Opened on first write. */
export class FileSink implements TextSink {
  readonly #path: string
  #fd: number | undefined

  constructor(path: string) {
    this.#path = path
  }

  write(text: string, done: (error: Error | undefined) => void): void {
    try {
      this.#fd ??= openSync(this.#path, "a", 0o640)
    } catch (cause) {
      done(cause instanceof Error ? cause : new Error(String(cause)))
      return
    }
    this.#writeAll(this.#fd, Buffer.from(text), done)
  }

  reopen(): void {
    this.close()
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd)
    this.#fd = undefined
  }

  /** A write may take less than all of it, e.g. when the disk fills up. */
  #writeAll(fd: number, bytes: Buffer, done: (error: Error | undefined) => void): void {
    write(fd, bytes, (error, written) => {
      if (error !== null) done(error)
      else if (written < bytes.length) this.#writeAll(fd, bytes.subarray(written), done)
      else done(undefined)
    })
  }
}

/** Standard output or standard error; reopening and closing them is not ours to do. */
export class StandardSink implements TextSink {
  readonly #stream: NodeJS.WritableStream

  constructor(name: "stdout" | "stderr") {
    this.#stream = process[name]
  }

  write(text: string, done: (error: Error | undefined) => void): void {
    this.#stream.write(text, (error) => done(error ?? undefined))
  }

  reopen(): void {}

  close(): void {}
}

export interface AccessLogOptions {
  readonly sink: TextSink
  readonly registry: MetricRegistry
  /** Runs its argument at the end of this turn. */
  readonly soon: (flush: () => void) => void
  /** A write failed; called for each, the lines are lost. */
  readonly onError: (error: Error) => void
  /** Characters that may wait, written and unwritten together. Default 1 Mi (about 3,000 lines). */
  readonly limit?: number
}

export class AccessLog implements AccessLogSink {
  readonly #sink: TextSink
  readonly #soon: (flush: () => void) => void
  readonly #onError: (error: Error) => void
  readonly #limit: number
  readonly #written: Counter
  readonly #dropped: Counter
  #waiting: Array<string> = []
  /** Lines in `#waiting`. */
  #lines = 0
  /** Characters in `#waiting`. */
  #size = 0
  /** Characters handed to the sink and not yet written; 0 when no write is under way. */
  #writing = 0
  #scheduled = false
  #reopen = false
  #closed = false
  #idle: (() => void) | undefined

  constructor(options: AccessLogOptions) {
    const family = options.registry.counter(
      "skein_access_log_lines_total",
      "Lines of the access log, written or dropped.",
      ["result"]
    )
    this.#sink = options.sink
    this.#soon = options.soon
    this.#onError = options.onError
    this.#limit = options.limit ?? 1024 * 1024
    this.#written = family.cell({ result: "written" })
    this.#dropped = family.cell({ result: "dropped" })
  }

  log(entry: AccessLogEntry): void {
    this.#add(lineOf(entry), 1)
  }

  /** Of another thread. Of what there is no room for, the last lines are dropped. */
  write({ text, lines, dropped }: LinesTaken): void {
    this.#dropped.inc(dropped)
    if (text.length <= this.#room) {
      if (lines > 0) this.#add(text, lines)
      return
    }
    const end = this.#room > 0 ? text.lastIndexOf("\n", this.#room - 1) + 1 : 0
    const fitting = text.slice(0, end)
    const kept = fitting.split("\n").length - 1
    if (kept > 0) this.#add(fitting, kept)
    this.#dropped.inc(lines - kept)
  }

  /** Lines from now on go to a file newly opened under the same name. */
  reopen(): void {
    if (this.#writing > 0) this.#reopen = true
    else this.#sink.reopen()
  }

  /** Writes what waits, then frees the file. */
  close(): Promise<void> {
    this.#closed = true
    return new Promise((resolve) => {
      this.#idle = () => {
        this.#sink.close()
        resolve()
      }
      this.#flush()
    })
  }

  get #room(): number {
    return this.#closed ? 0 : this.#limit - this.#size - this.#writing
  }

  #add(text: string, lines: number): void {
    if (text.length > this.#room) {
      this.#dropped.inc(lines)
      return
    }
    this.#waiting.push(text)
    this.#lines += lines
    this.#size += text.length
    if (this.#scheduled || this.#writing > 0) return
    this.#scheduled = true
    this.#soon(() => {
      this.#scheduled = false
      this.#flush()
    })
  }

  #flush(): void {
    if (this.#writing > 0) return // its end flushes again
    if (this.#waiting.length === 0) {
      const idle = this.#idle
      this.#idle = undefined
      idle?.()
      return
    }
    const lines = this.#lines
    const text = this.#waiting.join("")
    this.#waiting = []
    this.#lines = 0
    this.#size = 0
    this.#writing = text.length
    this.#sink.write(text, (error) => {
      this.#writing = 0
      if (error === undefined) this.#written.inc(lines)
      else {
        this.#dropped.inc(lines)
        this.#onError(error)
      }
      if (this.#reopen) {
        this.#reopen = false
        this.#sink.reopen()
      }
      this.#flush()
    })
  }
}
