/**
 * What a request thread and the mesh thread say to each other of telemetry: plain data, which crosses
 * a MessagePort. Numbers are not among it: those are read where they are.
 */
import type { LinesTaken } from "./AccessLines.ts"
import type { CellBatch } from "./CellJournal.ts"
import type { SpansTaken } from "./SpanBatch.ts"

/** Of a request thread: all that has come up since its last one. */
export interface ThreadReport {
  readonly serial: number
  /** What has become of its cells; undefined: nothing. */
  readonly cells: CellBatch | undefined
  readonly spans: SpansTaken | undefined
  readonly lines: LinesTaken | undefined
  /** It answers a `collect`: gauges are as of now. */
  readonly collected: boolean
}

export type ThreadOrder =
  /** Who reads the reports is another than before, and knows nothing yet: all there is, from the start. */
  | { readonly kind: "anew" }
  /** Set the gauges that are only set for a scrape, and say when that is done. */
  | { readonly kind: "collect" }
  /** The report has been taken in. */
  | {
      readonly kind: "taken"
      readonly serial: number
      /** Serial of the last batch of cells that is applied. Undefined: the report had none. */
      readonly cells: number | undefined
      /** There is no room for spans until the next of these says otherwise. */
      readonly spansFull: boolean
    }
