/**
 * Audit events on their way to a collector. What waits is bounded; a batch that is not taken is tried
 * again after a pause, since who reads an audit log counts on all of it, and what found no room is counted,
 * in the metrics and in what the collector is told next.
 */
import type { Ticker } from "../model/Time.ts"
import type { Timer } from "../model/TimerWheel.ts"
import type { Counter } from "../request/cells/Cells.ts"
import type { MetricRegistry } from "../request/cells/Metrics.ts"
import type { AuditFields } from "./AuditGather.ts"

export const auditExportLimits = {
  /** That wait or are on their way. */
  records: 2_048,
  /** Characters of them. */
  text: 1024 * 1024,
  batch: 256,
  /** Longest wait before a batch goes out, ms. */
  sendEvery: 1_000
} as const

/** The pause after a batch that was not taken, ms: twice as long after each, ± a quarter. */
const basePause = 1_000
const maxPause = 30_000

/** The collector has judged the batch, and would not judge it otherwise another time. */
export class BatchRefused extends Error {
  override readonly name = "BatchRefused"
}

export interface AuditExportOptions {
  /** Rejects with the reason; with a `BatchRefused` it is not to be tried again. */
  readonly send: (records: ReadonlyArray<AuditFields>) => Promise<void>
  /** Says that so many were lost. */
  readonly gap: (lost: number) => AuditFields
  readonly ticker: Pick<Ticker, "now" | "after" | "random">
  readonly registry: MetricRegistry
  /** Called when the collector takes none, and `onRecovered` when it does again. */
  readonly onTrouble: (cause: string) => void
  readonly onRecovered: (lost: number) => void
}

interface Waiting {
  readonly record: AuditFields
  readonly text: number
}

export class AuditExport {
  readonly #options: AuditExportOptions
  readonly #exported: Counter
  readonly #dropped: Counter
  #waiting: Array<Waiting> = []
  #text = 0
  #timer: Timer | undefined
  #sending: Promise<boolean> | undefined
  #failures = 0
  /** That the collector was not told of yet. */
  #lost = 0
  /** Since there was trouble. */
  #lostNow = 0
  #troubled = false
  #closed = false

  constructor(options: AuditExportOptions) {
    this.#options = options
    const family = options.registry.counter(
      "skein_audit_exported_total",
      "Audit events for the collector: exported, or dropped because it took none or refused them.",
      ["result"]
    )
    this.#exported = family.cell({ result: "exported" })
    this.#dropped = family.cell({ result: "dropped" })
    const queued = options.registry
      .gauge("skein_audit_queued", "Audit events not yet sent.", [])
      .cell({})
    options.registry.onCollect(() => queued.set(this.#waiting.length))
  }

  /** `text`: how long it is as a line. */
  add(record: AuditFields, text: number): void {
    const { records, text: most } = auditExportLimits
    if (this.#waiting.length >= records || this.#text + text > most) {
      this.#lose(1)
      return
    }
    this.#waiting.push({ record, text })
    this.#text += text
    if (this.#sending === undefined) this.#later(auditExportLimits.sendEvery)
  }

  /** Done when all was sent, or the collector did not take it now. */
  async close(): Promise<void> {
    this.#closed = true
    this.#timer?.cancel()
    this.#timer = undefined
    await this.#sending
    while (this.#waiting.length > 0 && (await this.#send())) {
      // Batch after batch.
    }
    this.#lose(this.#waiting.length)
  }

  #later(wait: number): void {
    if (this.#closed || this.#timer !== undefined) return
    this.#timer = this.#options.ticker.after(wait, () => {
      this.#timer = undefined
      this.#sending = this.#send().then((taken) => {
        this.#sending = undefined
        if (this.#waiting.length > 0) this.#later(taken ? 0 : this.#pause())
        return taken
      })
    })
  }

  /** True: the collector is done with the batch. Never rejects. */
  async #send(): Promise<boolean> {
    const { gap, onRecovered, onTrouble, send } = this.#options
    const batch = this.#waiting.slice(0, auditExportLimits.batch)
    const lost = this.#lost
    const records = batch.map(({ record }) => record)
    try {
      await send(lost === 0 ? records : [...records, gap(lost)])
      this.#settle(batch)
      this.#exported.inc(batch.length)
      this.#lost -= lost
      this.#failures = 0
      if (this.#troubled) onRecovered(this.#lostNow)
      this.#troubled = false
      this.#lostNow = 0
      return true
    } catch (cause) {
      if (!this.#troubled) onTrouble(cause instanceof Error ? cause.message : String(cause))
      this.#troubled = true
      this.#failures = Math.min(this.#failures + 1, 16)
      if (!(cause instanceof BatchRefused)) return false
      this.#settle(batch)
      this.#lose(batch.length)
      return true
    }
  }

  #settle(batch: ReadonlyArray<Waiting>): void {
    this.#waiting = this.#waiting.slice(batch.length)
    for (const { text } of batch) this.#text -= text
  }

  #lose(records: number): void {
    this.#dropped.inc(records)
    this.#lost += records
    this.#lostNow += records
  }

  #pause(): number {
    const pause = Math.min(maxPause, basePause * 2 ** (this.#failures - 1))
    return pause * (0.75 + this.#options.ticker.random() / 2)
  }
}
