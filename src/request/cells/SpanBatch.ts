/**
 * The spans of one thread that have ended and wait to be handed over to the thread that sends them.
 * Bounded like what waits there: by number and by bytes.
 */
import type { SpanRecord, SpanSink } from "./SpanRecord.ts"
import { defaultSpanLimits, type SpanLimits, SpanRoom } from "./SpanRoom.ts"

export interface SpansTaken {
  readonly spans: ReadonlyArray<SpanRecord>
  /** Lost since the last time, for want of room. */
  readonly dropped: number
}

export class SpanBatch implements SpanSink {
  readonly #room: SpanRoom
  #spans: Array<SpanRecord> = []
  #dropped = 0
  /** Whoever takes them has no room, as it said last. */
  takerFull = false
  /** Something waits, and nothing did before. */
  onWaiting: (() => void) | undefined

  constructor(limits: SpanLimits = defaultSpanLimits) {
    this.#room = new SpanRoom(limits)
  }

  get full(): boolean {
    return this.takerFull || this.#room.full
  }

  get isWaiting(): boolean {
    return this.#spans.length > 0 || this.#dropped > 0
  }

  add(span: SpanRecord): void {
    if (!this.#room.take(span)) {
      this.drop()
      return
    }
    this.#spans.push(span)
    if (this.#spans.length === 1) this.onWaiting?.()
  }

  drop(): void {
    this.#dropped++
    if (this.#dropped === 1) this.onWaiting?.()
  }

  takeSpans(): SpansTaken {
    const taken = { spans: this.#spans, dropped: this.#dropped }
    this.#room.give(this.#spans)
    this.#spans = []
    this.#dropped = 0
    return taken
  }
}
