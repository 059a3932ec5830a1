/**
 * The audit log of a node: events in, one JSON line each in a file, and to whoever else is told. Nothing waits for the disk; what
 * it does not take is kept up to a bound, then counted, and the count is the first line that it takes
 * again.
 */
import type { AuditEvent, RecordAudit } from "../model/AuditEvent.ts"
import type { Ticker } from "../model/Time.ts"
import type { Timer } from "../model/TimerWheel.ts"
import type { Counter } from "../request/cells/Cells.ts"
import type { MetricRegistry } from "../request/cells/Metrics.ts"
import { type AuditFields, AuditGather, auditFields, auditLine } from "./AuditGather.ts"

/** Where lines go; one call at a time. */
export interface AuditSink {
  append(text: string): Promise<void>
}

export interface AuditLogOptions {
  /** Name of this node, which stands in every line. */
  readonly node: string
  /** Undefined: no file is kept. */
  readonly sink: AuditSink | undefined
  /** Hears of each, with how long its line is. */
  readonly onRecord?: ((record: AuditFields, length: number) => void) | undefined
  readonly ticker: Ticker
  readonly registry: MetricRegistry
  /** The file cannot be written; told once until it can. */
  readonly onTrouble: (message: string) => void
}

/** Characters that wait for the disk. */
const maxWaiting = 1024 * 1024
/** Tries again, and tells counts, so often (ms). */
const passEvery = 1_000

export class AuditLog {
  readonly #options: AuditLogOptions
  readonly #gather: AuditGather
  readonly #written: Counter
  readonly #dropped: Counter
  #passes: Timer | undefined
  #closed = false
  #waiting: Array<string> = []
  #size = 0
  #lost = 0
  #writing: Promise<void> | undefined
  /** The disk did not take the last ones: the next try is the next pass's. */
  #troubled = false
  #told = false

  constructor(options: AuditLogOptions) {
    this.#options = options
    const { registry } = options
    const lines = registry.counter(
      "skein_audit_lines_total",
      "Lines of the audit log, written or dropped because the file took none.",
      ["result"]
    )
    this.#written = lines.cell({ result: "written" })
    this.#dropped = lines.cell({ result: "dropped" })
    this.#gather = new AuditGather((event, count, since) => this.#add(event, count, since))
  }

  readonly record: RecordAudit = (event) => {
    this.#gather.note(event, this.#options.ticker.now())
    this.#write()
    this.#passSoon()
  }

  /** Done when everything is on its way to the disk, or the disk did not take it. `last` ends it. */
  async close(last?: AuditEvent): Promise<void> {
    this.#closed = true
    this.#passes?.cancel()
    this.#gather.finish()
    if (last !== undefined) this.#add(last, 1, undefined)
    this.#troubled = false
    await this.#writing
    this.#write()
    await this.#writing
  }

  /** As long as there is something to count or to write: a node where nothing happens sleeps. */
  #passSoon(): void {
    if (this.#closed || (!this.#gather.counts && this.#waiting.length === 0)) return
    this.#passes ??= this.#options.ticker.after(passEvery, () => {
      this.#passes = undefined
      this.#gather.pass(this.#options.ticker.now())
      this.#troubled = false
      this.#write()
      this.#passSoon()
    })
  }

  #add(event: AuditEvent, count: number, since: number | undefined): void {
    const { node, onRecord, sink, ticker } = this.#options
    const fields = auditFields(event, node, ticker.wall(), count, since)
    const line = auditLine(fields)
    onRecord?.(fields, line.length)
    if (sink === undefined) return
    if (this.#size + line.length > maxWaiting) {
      this.#lost++
      this.#dropped.inc()
      return
    }
    this.#waiting.push(line)
    this.#size += line.length
  }

  #write(): void {
    const { node, sink, ticker } = this.#options
    if (sink === undefined || this.#writing !== undefined) return
    if (this.#troubled || this.#waiting.length === 0) return
    const lines = this.#waiting
    this.#waiting = []
    const lost = this.#lost
    const gap: AuditEvent = { event: "audit.lost", message: "the file took no more lines" }
    const told = auditLine(auditFields(gap, node, ticker.wall(), lost, 0))
    const text = lines.join("") + (lost === 0 ? "" : told)
    this.#writing = sink.append(text).then(
      () => {
        this.#size -= lines.reduce((sum, { length }) => sum + length, 0)
        this.#lost -= lost
        this.#written.inc(lines.length)
        this.#settled(undefined)
      },
      (cause: unknown) => {
        this.#waiting = [...lines, ...this.#waiting]
        this.#settled(cause instanceof Error ? cause.message : String(cause))
      }
    )
  }

  #settled(problem: string | undefined): void {
    this.#writing = undefined
    this.#troubled = problem !== undefined
    if (problem !== undefined && !this.#told) this.#options.onTrouble(problem)
    this.#told = problem !== undefined
    this.#write()
    this.#passSoon()
  }
}
