/**
 * What a program serves by itself, as its own thread keeps it: the plane here has the handlers, and the
 * mesh thread is told of them, whole, at each change and at the beginning of each of its lives.
 */
import { Effect, type Scope } from "effect"
import type { ActorReporters } from "../api/ActorReporters.ts"
import type { MeshProgram, OfferedService, ServedService } from "../api/MeshProgram.ts"
import type { ServiceName } from "../model/Names.ts"
import type { Programs } from "../request/inbound/Programs.ts"
import { type ProgramOffer, ServeRefused } from "../schema/ProgramOfferSchema.ts"

export interface ProgramOffersOptions {
  readonly node: () => string
  /** Of the plane in this thread. */
  readonly programs: Pick<Programs, "serve">
  /** Request threads besides the program's own: a call that comes to them cannot get here. */
  readonly threads: () => number
  /** Asks the mesh thread whether the node may offer it. */
  readonly mayServe: (service: ServiceName) => Effect.Effect<void, ServeRefused>
  /** Tells it all there is. Done when the mesh knows, or nobody is there to be told. */
  readonly tell: (offers: ReadonlyArray<ProgramOffer>) => Effect.Effect<void>
  /** Where the node gives other ids than the program does: how to make one for what is called by it. */
  readonly namedId?: (() => string) | undefined
  /** What this program says of its actors. */
  readonly actors: Pick<ActorReporters, "add">
  /** `drain.deadline` of the node, ms. */
  readonly deadline: () => number
}

export class ProgramOffers {
  readonly #options: ProgramOffersOptions
  readonly #offers = new Map<string, ProgramOffer>()

  constructor(options: ProgramOffersOptions) {
    this.#options = options
  }

  /** What a life of the mesh thread begins with. */
  get all(): ReadonlyArray<ProgramOffer> {
    return [...this.#offers.values()]
  }

  readonly api: MeshProgram["Type"] = {
    node: () => this.#options.node(),
    mayServe: (service) =>
      Effect.suspend(() => {
        const { mayServe, node, threads } = this.#options
        if (threads() === 0) return mayServe(service)
        const message = `${service} cannot be served at ${node()}: ${threads()} threads of their own carry its requests, and the program is in none of them; node.threads: 0 lets the program's thread do so`
        return new ServeRefused({ code: "no_plane_here", message, service, node: node() })
      }),
    offer: (served) => this.#offer(served),
    reportActors: (reporter) => this.#options.actors.add(reporter),
    drainDeadline: () => this.#options.deadline()
  }

  #offer(served: ServedService): Effect.Effect<OfferedService, never, Scope.Scope> {
    return Effect.gen(this, function* () {
      const { namedId, programs } = this.#options
      const { service, weight } = served
      const ownId = served.named === true ? namedId?.() : undefined
      const id = ownId ?? this.#freeId(service)
      const key = `${service}/${id}`
      const unserve = programs.serve(service, id, served.dispatch)
      const named = ownId === undefined ? {} : { named: true }
      this.#offers.set(key, { service, id, weight, ...named, ...served.health })
      yield* Effect.acquireRelease(this.#tell, () => this.#withdraw(key, unserve))
      return {
        endpoint: id,
        setHealth: (health) =>
          Effect.suspend(() => {
            const offer = this.#offers.get(key)
            if (offer === undefined) return Effect.void
            this.#offers.set(key, { ...offer, ...health })
            return this.#tell
          })
      }
    })
  }

  get #tell(): Effect.Effect<void> {
    return Effect.suspend(() => this.#options.tell(this.all))
  }

  /** What has begun goes on: it is with the program already. */
  #withdraw(key: string, unserve: () => void): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.#offers.delete(key)
      return this.#tell
    }).pipe(Effect.ensuring(Effect.sync(unserve)))
  }

  /** The same from start to start, so that it is the same endpoint to every balancer of the mesh. */
  #freeId(service: ServiceName): string {
    for (let i = 1; ; i++) {
      const id = i === 1 ? "program" : `program-${i}`
      if (!this.#offers.has(`${service}/${id}`)) return id
    }
  }
}
