/**
 * What an Effect program needs of a node to serve: that its services are told to the mesh, and that
 * calls to them come to it. A running node provides it.
 */
import { Context, type Effect, type Scope } from "effect"
import type { Dispatch } from "../model/Exchange.ts"
import type { ServiceName } from "../model/Names.ts"
import type { ServeRefused } from "../schema/ProgramOfferSchema.ts"
import type { ActorReporter } from "./ActorReporters.ts"

/** A service, as a program serves it. */
export interface ServedService {
  readonly service: ServiceName
  /** Relative share of traffic, 1–1000. */
  readonly weight: number
  /** Calls come in here, those of the program itself as well. */
  readonly dispatch: Dispatch
  /**
   * Others call this very endpoint by its key (`Call.only`): its id is known from the start, and the same for as
   * long as it is offered. Default false.
   */
  readonly named?: boolean | undefined
  /** How it is before anything else is said. */
  readonly health: ServedHealth
}

export interface ServedHealth {
  readonly healthy: boolean
  /** Why, for people. */
  readonly reason: string
}

export interface OfferedService {
  /** Its endpoint's id at the node. */
  readonly endpoint: string
  /** Done when the mesh has been told. */
  readonly setHealth: (health: ServedHealth) => Effect.Effect<void>
}

export class MeshProgram extends Context.Tag("skein/api/MeshProgram")<
  MeshProgram,
  {
    /** Name of the node. */
    readonly node: () => string
    /** Fails where nobody would call it. */
    readonly mayServe: (service: ServiceName) => Effect.Effect<void, ServeRefused>
    /** Done when the mesh has been told; told again as the scope closes. What runs then goes on. */
    readonly offer: (served: ServedService) => Effect.Effect<OfferedService, never, Scope.Scope>
    /** What the node is told of actors when it asks, until the scope closes. */
    readonly reportActors: (reporter: ActorReporter) => Effect.Effect<void, never, Scope.Scope>
    /** Milliseconds that what runs may take to end by itself (`drain.deadline`). */
    readonly drainDeadline: () => number
  }
>() {}
