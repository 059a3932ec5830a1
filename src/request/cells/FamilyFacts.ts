/** What a family of cells is, in words that can be told to another thread. */

export type Labels = Readonly<Record<string, string>>

export type MetricKind = "counter" | "gauge" | "histogram"

/**
 * What cells of the same labels in several threads are together. Counts and amounts are their sum;
 * what each thread says of the same thing (a state, a limit, a point in time) is the greatest.
 */
export type Merge = "sum" | "max"

/** A family without its cells, as plain data. */
export interface FamilyFacts {
  readonly name: string
  readonly help: string
  readonly kind: MetricKind
  /** Names of the labels; undefined: not declared. */
  readonly labels: ReadonlyArray<string> | undefined
  /** The text says what the cells count, divided by this. 1 but for durations. */
  readonly divisor: number
  /** Always `sum` but for gauges. */
  readonly merge: Merge
  /** Of histograms; else empty. */
  readonly bounds: ReadonlyArray<number>
}
