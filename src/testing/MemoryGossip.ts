/**
 * Gossip within one process: every message reaches every other node on the bus, once, whatever
 * its verdict. Delivery is deferred, so that publishing never runs a handler.
 */
import { Effect, Layer } from "effect"
import { Gossip, type GossipHandler, type GossipTopic } from "../mesh/host/Gossip.ts"

interface Node {
  readonly handlers: Map<GossipTopic, GossipHandler>
}

export interface MemoryBusOptions {
  /** Runs a delivery later. Default: a microtask. */
  readonly defer?: (task: () => void) => void
  /** Whether a message from one node (by the order of joining) reaches another now. Default: yes. */
  readonly reaches?: (from: number, to: number) => boolean
}

/** A bus on which each `layer()` is a node of its own. */
export class MemoryBus {
  readonly #nodes = new Map<number, Node>()
  readonly #defer: (task: () => void) => void
  readonly #reaches: (from: number, to: number) => boolean
  #joined = 0

  constructor(options: MemoryBusOptions = {}) {
    this.#defer = options.defer ?? queueMicrotask
    this.#reaches = options.reaches ?? (() => true)
  }

  layer(): Layer.Layer<Gossip> {
    return Layer.scoped(
      Gossip,
      Effect.gen(this, function* () {
        const self = this.#joined++
        const handlers = new Map<GossipTopic, GossipHandler>()
        yield* Effect.acquireRelease(
          Effect.sync(() => this.#nodes.set(self, { handlers })),
          () => Effect.sync(() => this.#nodes.delete(self))
        )
        return {
          publish: (topic, bytes) => Effect.sync(() => this.#publish(self, topic, bytes)),
          subscribe: (topic, handler) =>
            Effect.sync(() => {
              handlers.set(topic, handler)
            })
        }
      })
    )
  }

  #publish(from: number, topic: GossipTopic, bytes: Uint8Array): void {
    for (const [to, { handlers }] of this.#nodes) {
      if (to === from || !this.#reaches(from, to)) continue
      this.#defer(() => {
        if (this.#nodes.has(to)) handlers.get(topic)?.(bytes)
      })
    }
  }
}

/** One bus, one node: for whoever is alone. */
export const layerMemory: Layer.Layer<Gossip> = Layer.suspend(() => new MemoryBus().layer())
