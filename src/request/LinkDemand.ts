/**
 * Which links a request thread wants. They are made when somebody calls, and closed when nobody does. Who calls a
 * service for the first time, or after a pause, waits for one of them; the others are there when they are picked.
 */
import type { MeshViewCell } from "../model/MeshView.ts"
import type { PeerKey, ServiceName } from "../model/Names.ts"
import type { Ticker } from "../model/Time.ts"
import type { Timer } from "../model/TimerWheel.ts"
import type { LinkPool } from "./link/LinkPool.ts"

export interface LinkDemandOptions {
  readonly view: MeshViewCell
  readonly pool: Pick<LinkPool, "connectedPeers" | "warm">
  readonly ticker: Ticker
  /** Hears whose links are open. */
  readonly onUsed: (peers: ReadonlyArray<PeerKey>) => void
}

/**
 * How often the mesh thread is told whose links are open, ms: it keeps connections to them, over which
 * sessions are replaced, and drops others after five minutes (ConnectionKeeper.ts).
 */
const usedEvery = 120_000

/** Endpoints of a service whose links are made at once: a balancer needs two, and spares. */
const warmAtOnce = 16

export class LinkDemand {
  readonly #options: LinkDemandOptions
  #sayUsed: Timer

  constructor(options: LinkDemandOptions) {
    this.#options = options
    this.#sayUsed = options.ticker.after(usedEvery, this.#onUsed)
  }

  /** A call of this service waits for a link. */
  warm(service: ServiceName): void {
    const { pool, ticker, view } = this.#options
    const endpoints = view.current.services.get(service)?.endpoints ?? []
    const count = Math.min(warmAtOnce, endpoints.length)
    // Of many some, and not the same as every other thread.
    const start = Math.floor(ticker.random() * endpoints.length)
    for (let i = 0; i < count; i++) {
      const { local, member, peer } = endpoints[(start + i) % endpoints.length]!
      if (!local && member !== "dead") pool.warm(peer)
    }
  }

  stop(): void {
    this.#sayUsed.cancel()
  }

  readonly #onUsed = (): void => {
    const { onUsed, pool, ticker } = this.#options
    this.#sayUsed = ticker.after(usedEvery, this.#onUsed)
    const peers = pool.connectedPeers()
    if (peers.length > 0) onUsed(peers)
  }
}
