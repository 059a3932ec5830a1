/**
 * How a node stops taking work: it is said first, then waited for, then done.
 *
 *     serving ─► announced (record, notices, goaway) ─► in flight ends ─► links close ─► drained
 *
 * The record reaches everybody by gossip; the peers that are connected are told directly as well,
 * and their answer means that they have stopped sending. Only inbound work is drained: the host's
 * own programs keep calling through this node until it really stops.
 */
import { Cause, Deferred, Effect, FiberSet, type Scope } from "effect"
import type { CatalogueShape } from "../mesh/catalogue/CatalogueService.ts"
import type { ConnectionKeeper } from "../mesh/host/ConnectionKeeper.ts"
import type { MeshRpcClients } from "../mesh/host/MeshRpcClients.ts"

export type NodeState = "serving" | "draining" | "drained" | "leaving"

export interface DrainOptions {
  readonly catalogue: Pick<CatalogueShape, "updateOwn">
  readonly keeper: Pick<ConnectionKeeper, "connectedPeers">
  readonly clients: MeshRpcClients
  readonly threads: {
    /** Takes nothing more from other nodes. Done when nothing of theirs runs here any more. */
    readonly drain: (reason: string) => Promise<void>
  }
  /** Exchanges of others that run here. */
  readonly inFlight: Effect.Effect<number>
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

/** For the own record to be signed and handed to gossip; a catalogue that hangs is not waited for. */
const recordPatience = "5 seconds"

const nobody: Announced = { acknowledged: 0, told: 0 }

/**
 * Drains are asked for in finalizers and after SIGTERM, by fibers that cannot be interrupted or are
 * so already. There a timeout would wait for what it should cut short. And a command that is broken
 * off must not leave half a drain. So fibers of its own do the work; they end with the node.
 */
export class Drain {
  readonly #options: DrainOptions
  readonly #work: FiberSet.FiberSet
  readonly #announced: Deferred.Deferred<Announced>
  readonly #finished: Deferred.Deferred<void>
  readonly #left: Deferred.Deferred<Announced>
  #leaving = false
  #state: NodeState = "serving"

  private constructor(
    options: DrainOptions,
    work: FiberSet.FiberSet,
    announced: Deferred.Deferred<Announced>,
    finished: Deferred.Deferred<void>,
    left: Deferred.Deferred<Announced>
  ) {
    this.#options = options
    this.#work = work
    this.#announced = announced
    this.#finished = finished
    this.#left = left
  }

  static readonly make = (options: DrainOptions): Effect.Effect<Drain, never, Scope.Scope> =>
    Effect.gen(function* () {
      return new Drain(
        options,
        yield* FiberSet.make(),
        yield* Deferred.make<Announced>(),
        yield* Deferred.make<void>(),
        yield* Deferred.make<Announced>()
      )
    })

  get state(): NodeState {
    return this.#state
  }

  /**
   * Done when the mesh has been told; the waiting goes on behind. Harmless when repeated: it
   * happens once, also when whoever began it is gone, and all get the same answer.
   */
  readonly begin: Effect.Effect<Announced> = Effect.suspend(() => {
    const announced = Deferred.await(this.#announced)
    if (this.#state !== "serving") return announced
    this.#state = "draining"
    return Effect.zipRight(this.#inBackground(this.#drain), announced)
  })

  /** Done when nothing is in flight and all is answered, or the deadline has passed. */
  readonly finished: Effect.Effect<void> = Effect.suspend(() =>
    Effect.zipRight(this.begin, Deferred.await(this.#finished))
  )

  /** Drains, then says good-bye: the others forget this node until it comes back. */
  readonly leave: Effect.Effect<Announced> = Effect.suspend(() => {
    if (this.#leaving) return this.left
    this.#leaving = true
    return Effect.zipRight(this.#inBackground(this.#goodbye), this.left)
  })

  /** Done when the good-bye has been said. */
  get left(): Effect.Effect<Announced> {
    return Deferred.await(this.#left)
  }

  #inBackground(work: Effect.Effect<void>): Effect.Effect<void> {
    return Effect.asVoid(FiberSet.run(this.#work, Effect.interruptible(work)))
  }

  get #drain(): Effect.Effect<void> {
    return this.#tell("draining").pipe(
      Effect.flatMap((announced) => {
        const served = this.#options.threads.drain("the node is draining")
        return Effect.zipRight(Deferred.succeed(this.#announced, announced), this.#wait(served))
      }),
      // When the node stops meanwhile, those that wait for the drain are not to wait for ever.
      Effect.ensuring(Deferred.succeed(this.#announced, nobody)),
      Effect.ensuring(Deferred.succeed(this.#finished, undefined))
    )
  }

  get #goodbye(): Effect.Effect<void> {
    return this.finished.pipe(
      Effect.zipRight(
        Effect.suspend(() => {
          this.#state = "leaving"
          return this.#tell("left")
        })
      ),
      Effect.flatMap((told) => Deferred.succeed(this.#left, told)),
      Effect.ensuring(Deferred.succeed(this.#left, nobody))
    )
  }

  /** `served`: all of the others' exchanges are over, and the last answers have left. */
  #wait(served: Promise<void>): Effect.Effect<void> {
    const deadline = this.#options.deadline()
    return Effect.promise(() => served).pipe(
      Effect.timeoutOption(deadline),
      Effect.tap((done) =>
        done._tag === "None"
          ? Effect.flatMap(this.#options.inFlight, (count) =>
              Effect.logWarning(
                `drain deadline of ${deadline} ms passed with ${count} exchanges in flight; they are cut off when the node stops`
              )
            )
          : Effect.void
      ),
      Effect.zipRight(
        Effect.sync(() => {
          this.#state = "drained"
        })
      )
    )
  }

  #tell(state: "draining" | "left"): Effect.Effect<Announced> {
    const { catalogue, clients, keeper } = this.#options
    return catalogue.updateOwn({ state }).pipe(
      Effect.timeout(recordPatience),
      Effect.flatMap(({ bytes }) => {
        const peers = keeper.connectedPeers()
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
      // Whatever is wrong with the announcement, the node still stops taking work.
      Effect.catchAllCause((cause) =>
        Cause.isInterruptedOnly(cause)
          ? Effect.failCause(cause as Cause.Cause<never>) // only interruption is in it
          : Effect.as(Effect.logError("the drain could not be announced", cause), nobody)
      )
    )
  }
}
