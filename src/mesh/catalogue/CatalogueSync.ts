/**
 * When catalogues are compared: on demand (a link came up, a partition healed), every 30 s with a random
 * neighbour, and every second while comparisons bring what gossip does not carry any more: after a
 * partition most nodes have no new link, and would hear of the other side in rounds of 30 s.
 */
import { Effect, Exit, Fiber, Random, type Scope } from "effect"
import type { PeerKey } from "../../model/Names.ts"
import type { MeshRpcError } from "../host/MeshRpc.ts"
import type { MeshRpcClients } from "../host/MeshRpcClients.ts"
import {
  type GoneVersion,
  type SyncPort,
  type SyncReport,
  type SyncSelf,
  synchronise
} from "./AntiEntropy.ts"

export interface CatalogueSyncOptions {
  readonly self: PeerKey
  /** The questions of anti-entropy, put to one node over its connection. */
  readonly connect: (peer: PeerKey) => Effect.Effect<SyncPort, MeshRpcError>
  /** Nodes worth comparing with now: those with a live link. */
  readonly neighbours: () => ReadonlyArray<PeerKey>
  /** Milliseconds between comparisons with a random neighbour, ± 20 %; default 30 s. */
  readonly syncEvery?: number
  /** Hears what each comparison that this node began came to. */
  readonly onCompared?: ((peer: PeerKey, result: ComparisonResult) => void) | undefined
  /** What this node has given up, and others need not offer. Default: nothing. */
  readonly gone?: (() => ReadonlyArray<GoneVersion>) | undefined
  /** Hears which records that are held here that peer has given up. */
  readonly onGone?: ((peer: PeerKey, versions: ReadonlyArray<GoneVersion>) => void) | undefined
}

/** `same`: both held the same. `changed`: one of the two lacked something. */
export type ComparisonResult = "same" | "changed" | "failed"

/** Comparisons to be made soon. */
export const eagerAfter = (eager: number, { same }: Pick<SyncReport, "same">): number =>
  same ? Math.max(0, eager - 1) : eager

/** Milliseconds until the next comparison; `random` in [0, 1). */
export const nextComparison = (eager: number, random: number, every: number): number =>
  eager > 0 ? syncTimes.soon * (0.5 + random) : every * (0.8 + 0.4 * random)

export interface CatalogueSync {
  readonly syncWith: SyncWith
  /** A comparison brought what nobody is told by gossip: others may lack it, too. */
  readonly spread: () => void
}

export type SyncWith = (peer: PeerKey) => Effect.Effect<SyncReport, MeshRpcError>

export const syncTimes = {
  /** Between two comparisons with a random neighbour, ms, ± 20 %. */
  every: 30_000,
  /** After one that brought what is too old for gossip, ms, ± 50 %… */
  soon: 1_000,
  /** …until so many in a row found nothing. Two of three leave hardly anybody out (Demers 1987, §1.4). */
  sames: 3,
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
): Effect.Effect<CatalogueSync, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { self, connect, neighbours, syncEvery = syncTimes.every, onCompared, onGone } = options
    const permits = yield* Effect.makeSemaphore(syncTimes.atOnce)
    const scope = yield* Effect.scope
    const underWay = new Map<PeerKey, Fiber.RuntimeFiber<SyncReport, MeshRpcError>>()

    const compare = (peer: PeerKey) =>
      permits
        .withPermits(1)(
          Effect.flatMap(connect(peer), (port) =>
            synchronise({ ...own, onGone: (versions) => onGone?.(peer, versions) }, port)
          )
        )
        .pipe(
          Effect.onExit((exit) =>
            Effect.sync(() => {
              // The node stops.
              if (Exit.isInterrupted(exit)) return
              onCompared?.(
                peer,
                Exit.isFailure(exit) ? "failed" : exit.value.same ? "same" : "changed"
              )
            })
          )
        )

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

    let eager = 0
    const settle = (report: Pick<SyncReport, "same">) => {
      eager = eagerAfter(eager, report)
    }
    const hasNews = yield* Effect.makeLatch(false)
    const pause = Effect.gen(function* () {
      const wait = Effect.sleep(nextComparison(eager, yield* Random.next, syncEvery))
      if (eager > 0) return yield* wait
      const soon = Effect.sleep(nextComparison(1, yield* Random.next, syncEvery))
      yield* Effect.raceFirst(wait, Effect.zipRight(hasNews.await, soon))
    })

    const round = Effect.gen(function* () {
      yield* pause
      yield* hasNews.close
      const others = neighbours().filter((peer) => peer !== self)
      if (others.length === 0) return
      const peer = others[yield* Random.nextIntBetween(0, others.length)]!
      yield* syncWith(peer).pipe(
        Effect.tap((report) => Effect.sync(() => settle(report))),
        // The next round asks another one; links say for themselves when they are down.
        Effect.catchAll((error) => {
          settle({ same: true })
          return Effect.logDebug(`no comparison of catalogues with ${peer}: ${error.message}`)
        }),
        // What one node answers must not end the comparing with all of them.
        Effect.catchAllDefect((defect) =>
          Effect.logError(`the comparison of catalogues with ${peer} broke`, defect)
        )
      )
    })
    yield* Effect.forkScoped(Effect.forever(round))
    const spread = () => {
      eager = syncTimes.sames
      hasNews.unsafeOpen()
    }
    return { syncWith, spread }
  })
