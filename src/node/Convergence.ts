/**
 * How fast and how well the mesh agrees, as this node meets it: how old a record is when it is first
 * seen here, what comparisons of catalogues come to, and when the last one found both equal.
 */

import type { ComparisonResult } from "../mesh/catalogue/CatalogueSync.ts"
import type { RecordWay } from "../mesh/catalogue/RecordIntake.ts"
import { SyncBook } from "../mesh/catalogue/SyncBook.ts"
import type { PeerClocks } from "../mesh/membership/PeerClocks.ts"
import type { PeerKey } from "../model/Names.ts"
import type { NodeRecord } from "../model/NodeRecord.ts"
import type { Counter, Histogram } from "../request/cells/Cells.ts"
import type { MetricRegistry } from "../request/cells/Metrics.ts"

/** Milliseconds, from a neighbour's news to what was met after a day away. */
const ageBounds: ReadonlyArray<number> = [
  10, 20, 50, 100, 200, 300, 500, 750, 1_000, 1_500, 2_000, 3_000, 5_000, 10_000, 30_000, 60_000,
  300_000, 3_600_000, 86_400_000
]

/** What clocks are apart by less is as well the error of measuring it, ms. */
const clockTolerance = 5_000

const ways: ReadonlyArray<RecordWay> = ["gossip", "comparison", "notice"]
const results: ReadonlyArray<ComparisonResult> = ["same", "changed", "failed"]

export interface ConvergenceOptions {
  readonly clocks: Pick<PeerClocks, "now" | "wall" | "aheadOf" | "own">
  readonly metrics: MetricRegistry
}

/** `ahead`: the author's clock to ours, ms. Negative: signed ahead of our clock all the same. */
export const recordAge = (signedAt: number, wall: number, ahead: number | undefined): number =>
  wall - signedAt + (ahead !== undefined && Math.abs(ahead) >= clockTolerance ? ahead : 0)

export class Convergence {
  readonly book = new SyncBook()
  readonly #clocks: ConvergenceOptions["clocks"]
  readonly #ages: ReadonlyMap<RecordWay, Histogram>
  readonly #compared: ReadonlyMap<ComparisonResult, Counter>
  readonly #ahead: Counter

  constructor({ clocks, metrics }: ConvergenceOptions) {
    this.#clocks = clocks
    const ages = metrics.histogram(
      "skein_catalogue_record_age_seconds",
      "Age of a record of another node when it is first seen here, by how it came. gossip: as news. comparison: what gossip missed, or was said before this node came. notice: with the word that its node drains. Corrected by what is known of its author's clock when that is 5 s off or more.",
      ["way"],
      ageBounds
    )
    this.#ages = new Map(ways.map((way) => [way, ages.cell({ way })]))
    this.#ahead = metrics
      .counter(
        "skein_catalogue_record_ahead_total",
        "Records that were signed ahead of this node's clock when they were first seen: their age counts as 0.",
        []
      )
      .cell({})
    const compared = metrics.counter(
      "skein_catalogue_comparisons_total",
      "Comparisons of catalogues that this node began, by what they came to. changed: one of the two lacked something.",
      ["result"]
    )
    this.#compared = new Map(results.map((result) => [result, compared.cell({ result })]))
    const equal = metrics.gauge(
      "skein_catalogue_last_equal_timestamp_seconds",
      "When this node's catalogue was last seen to be equal to another's, in seconds since 1970; absent before the first time.",
      []
    )
    metrics.onCollect(() => {
      const { equalAt } = this.book
      if (equalAt === undefined) return
      equal.cell({}).set((clocks.wall() - (clocks.now() - equalAt)) / 1_000)
    })
  }

  /** A record of another node that this one did not hold. */
  firstSeen({ peer, signedAt }: Pick<NodeRecord, "peer" | "signedAt">, way: RecordWay): void {
    const { ahead: own } = this.#clocks.own()
    // Of whose clock nothing is known it is taken for one like most.
    const ahead = this.#clocks.aheadOf(peer) ?? (own === undefined ? undefined : -own)
    const age = recordAge(signedAt, this.#clocks.wall(), ahead)
    if (age < 0) this.#ahead.inc()
    this.#ages.get(way)?.record(Math.max(0, age))
  }

  /** A comparison that this node began has ended. */
  compared(peer: PeerKey, result: ComparisonResult): void {
    this.#compared.get(result)?.inc()
    if (result !== "failed") this.looked(peer, result === "same")
  }

  /** This node or the other asked whether both hold the same. */
  looked(peer: PeerKey, same: boolean): void {
    this.book.note(peer, same, this.#clocks.now())
  }
}
