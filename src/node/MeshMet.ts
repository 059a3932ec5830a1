/** Has this node met its mesh since it started, as far as one must wait for that? */
import type { ReadinessItem } from "../admin/NodeModel.ts"
import type { Catalogue } from "../mesh/catalogue/Catalogue.ts"
import type { PeerKey } from "../model/Names.ts"
import type { Bootstrap } from "./Bootstrap.ts"

export interface MeshMetOptions {
  readonly self: PeerKey
  readonly bootstrap: Bootstrap
  readonly catalogue: () => Catalogue
  /** Monotonic ms. */
  readonly now: () => number
}

/** How long a restarted node waits to meet the mesh before it serves from what it knew, ms. */
const patience = 3_000

/** Nodes of the catalogue beside this one that have not left. */
export const othersIn = (catalogue: Catalogue, self: PeerKey): number => {
  let count = 0
  for (const { record } of catalogue.entries()) {
    if (record.peer !== self && record.state !== "left") count++
  }
  return count
}

export class MeshMet {
  readonly #options: MeshMetOptions
  readonly #startedAt: number
  /** Other nodes that were on its disk. A newcomer hears of some before it knows all. */
  readonly #knownBefore: number
  #met = false

  constructor(options: MeshMetOptions) {
    this.#options = options
    this.#startedAt = options.now()
    this.#knownBefore = othersIn(options.catalogue(), options.self)
  }

  /** A member has answered. */
  answered(): void {
    this.#met = true
  }

  readonly item = (): ReadinessItem => {
    const { bootstrap, catalogue, now, self } = this.#options
    const known = othersIn(catalogue(), self)
    if (this.#met) {
      const detail = `${known} other ${known === 1 ? "node" : "nodes"} known`
      return { name: "mesh", ready: true, detail }
    }
    const invitersLeft = Array.from(bootstrap.keys()).every(
      (peer) => catalogue().node(peer)?.record.state === "left"
    )
    if (known === 0 && invitersLeft) {
      return { name: "mesh", ready: true, detail: "the only node so far" }
    }
    // What is known from before is good enough to serve from, should nobody answer.
    const patient = now() - this.#startedAt < patience
    const before = this.#knownBefore
    const detail = `no other node has answered yet; ${before} known from before`
    return { name: "mesh", ready: !patient && before > 0, detail }
  }
}
