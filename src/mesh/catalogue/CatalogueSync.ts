/**
 * When catalogues are compared: on demand (a link came up, a partition healed) and every 30 s with
 * a random neighbour.
 */
import { Effect, Fiber, Random, type Scope } from "effect"
import type { PeerKey } from "../../model/Names.ts"
import type { MeshRpcError } from "../host/MeshRpc.ts"
import type { MeshRpcClients } from "../host/MeshRpcClients.ts"
import { type SyncPort, type SyncReport, type SyncSelf, synchronise } from "./AntiEntropy.ts"

export interface CatalogueSyncOptions {
  readonly self: PeerKey
  /** The questions of anti-entropy, put to one node over its connection. */
  readonly connect: (peer: PeerKey) => Effect.Effect<SyncPort, MeshRpcError>
  /** Nodes worth comparing with now: those with a live link. */
  readonly neighbours: () => ReadonlyArray<PeerKey>
  /** Milliseconds between comparisons with a random neighbour, ± 20 %; default 30 s. */
  readonly syncEvery?: number
}

export type SyncWith = (peer: PeerKey) => Effect.Effect<SyncReport, MeshRpcError>

export const syncTimes = {
  /** Between two comparisons with a random neighbour, ms, ± 20 %. */
  every: 30_000,
  /** Comparisons under way, whoever asked for them. */
  atOnce: 2
} as const

/** `connect` over the mesh's RPC. */
export const connectByRpc =
  (clients: MeshRpcClients): CatalogueSyncOptions["connect"] =>
  (peer) =>
    Effect.map(clients.client(peer), (client) => ({
      digest: (root) => client.CatalogueDigest({ root }),
      versions: (buckets) => client.CatalogueBuckets({ buckets }),
      exchange: (wanted, offered) => client.CatalogueExchange({ wanted, offered })
    }))

export const makeCatalogueSync = (
  options: CatalogueSyncOptions,
  own: SyncSelf
): Effect.Effect<SyncWith, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { self, connect, neighbours, syncEvery = syncTimes.every } = options
    const permits = yield* Effect.makeSemaphore(syncTimes.atOnce)
    const scope = yield* Effect.scope
    const underWay = new Map<PeerKey, Fiber.RuntimeFiber<SyncReport, MeshRpcError>>()

    const compare = (peer: PeerKey) =>
      permits.withPermits(1)(Effect.flatMap(connect(peer), (port) => synchronise(own, port)))

    /** Who asks while one with the same peer is under way waits for that one. */
    const syncWith: SyncWith = (peer) =>
      Effect.gen(function* () {
        const running = underWay.get(peer)
        if (running !== undefined) return yield* Fiber.join(running)
        // In the scope of the catalogue: it goes on when the one that asked first is interrupted.
        const fiber = yield* Effect.forkIn(compare(peer), scope)
        underWay.set(peer, fiber)
        fiber.addObserver(() => underWay.delete(peer))
        return yield* Fiber.join(fiber)
      })

    const round = Effect.gen(function* () {
      yield* Effect.sleep(syncEvery * (0.8 + 0.4 * (yield* Random.next)))
      const others = neighbours().filter((peer) => peer !== self)
      if (others.length === 0) return
      const peer = others[yield* Random.nextIntBetween(0, others.length)]!
      yield* syncWith(peer).pipe(
        // The next round asks another one; links say for themselves when they are down.
        Effect.catchAll((error) =>
          Effect.logDebug(`no comparison of catalogues with ${peer}: ${error.message}`)
        ),
        // What one node answers must not end the comparing with all of them.
        Effect.catchAllDefect((defect) =>
          Effect.logError(`the comparison of catalogues with ${peer} broke`, defect)
        )
      )
    })
    yield* Effect.forkScoped(Effect.forever(round))
    return syncWith
  })
