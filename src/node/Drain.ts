/**
 * How a node stops taking work: it is said first, then waited for, then done.
 *
 *     serving ─► announced (record, notices, goaway) ─► in flight ends ─► drained
 *
 * The record reaches everybody by gossip; the peers that are connected are told directly as well,
 * and their answer means that they have stopped sending. Only inbound work is drained: the host's
 * own programs keep calling through this node until it really stops.
 */
import { Deferred, Effect, type Scope } from "effect"
import type { CatalogueShape } from "../catalogue/CatalogueService.ts"
import type { Inbound } from "../inbound/Inbound.ts"
import type { LinkPool } from "../link/LinkPool.ts"
import type { MeshRpcClients } from "../link/MeshRpcClients.ts"

export type NodeState = "serving" | "draining" | "drained" | "leaving"

export interface DrainOptions {
  readonly catalogue: Pick<CatalogueShape, "updateOwn">
  readonly links: Pick<LinkPool, "goaway" | "connectedPeers">
  readonly clients: MeshRpcClients["Type"]
  readonly inbound: Pick<Inbound, "drain" | "idle" | "inFlight">
  /** Milliseconds; read when a drain begins. */
  readonly deadline: () => number
}

export interface Announced {
  /** Peers that answered that they send nothing more. */
  readonly acknowledged: number
  readonly told: number
}

/** A peer that has not answered by then learns it from gossip, or from the first refusal. */
const noticePatience = "1 second"
const noticesAtOnce = 64

export class Drain {
  readonly #options: DrainOptions
  readonly #scope: Scope.Scope
  readonly #finished: Deferred.Deferred<void>
  #announced: Announced | undefined
  #state: NodeState = "serving"

  private constructor(
    options: DrainOptions,
    scope: Scope.Scope,
    finished: Deferred.Deferred<void>
  ) {
    this.#options = options
    this.#scope = scope
    this.#finished = finished
  }

  static readonly make = (options: DrainOptions): Effect.Effect<Drain, never, Scope.Scope> =>
    Effect.gen(function* () {
      return new Drain(options, yield* Effect.scope, yield* Deferred.make<void>())
    })

  get state(): NodeState {
    return this.#state
  }

  /** Done when the mesh has been told; the waiting goes on behind. Harmless when repeated. */
  readonly begin: Effect.Effect<Announced> = Effect.suspend(() => {
    if (this.#announced !== undefined) return Effect.succeed(this.#announced)
    this.#announced = { acknowledged: 0, told: 0 }
    this.#state = "draining"
    return this.#tell("draining").pipe(
      Effect.tap((announced) =>
        Effect.sync(() => {
          this.#announced = announced
          this.#options.links.goaway("the node is draining")
          this.#options.inbound.drain()
        })
      ),
      Effect.tap(() => Effect.forkIn(this.#wait, this.#scope)),
      Effect.uninterruptible
    )
  })

  /** Done when nothing is in flight, or the deadline has passed. */
  readonly finished: Effect.Effect<void> = Effect.suspend(() =>
    Effect.zipRight(this.begin, Deferred.await(this.#finished))
  )

  /** Drains, then says good-bye: the others forget this node until it comes back. */
  readonly leave: Effect.Effect<Announced> = Effect.suspend(() =>
    this.finished.pipe(
      Effect.zipRight(
        Effect.sync(() => {
          this.#state = "leaving"
        })
      ),
      Effect.zipRight(Effect.suspend(() => this.#tell("left")))
    )
  )

  get #wait(): Effect.Effect<void> {
    const { inbound, deadline } = this.#options
    return inbound.idle.pipe(
      Effect.timeoutOption(deadline()),
      Effect.tap((done) =>
        done._tag === "None"
          ? Effect.logWarning(
              `drain deadline of ${deadline()} ms passed with ${inbound.inFlight} exchanges in flight; they are cut off when the node stops`
            )
          : Effect.void
      ),
      Effect.ensuring(
        Effect.suspend(() => {
          if (this.#state === "draining") this.#state = "drained"
          return Deferred.succeed(this.#finished, undefined)
        })
      ),
      Effect.asVoid
    )
  }

  #tell(state: "draining" | "left"): Effect.Effect<Announced> {
    const { catalogue, clients, links } = this.#options
    return catalogue.updateOwn({ state }).pipe(
      Effect.flatMap(({ bytes }) => {
        const peers = links.connectedPeers()
        return Effect.forEach(
          peers,
          (peer) =>
            clients.client(peer).pipe(
              Effect.flatMap((client) => client.DrainNotice({ envelope: bytes })),
              Effect.timeout(noticePatience),
              Effect.as(1),
              Effect.catchAll(({ message }) =>
                Effect.as(Effect.logDebug(`${peer} was not told of the drain: ${message}`), 0)
              )
            ),
          { concurrency: noticesAtOnce }
        ).pipe(
          Effect.map((answers) => ({
            acknowledged: answers.reduce((sum, one) => sum + one, 0),
            told: peers.length
          }))
        )
      }),
      Effect.catchAll(({ message }) =>
        Effect.as(Effect.logError(`the drain could not be announced: ${message}`), {
          acknowledged: 0,
          told: 0
        })
      )
    )
  }
}
