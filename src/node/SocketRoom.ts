/**
 * The sockets of programs that this node may have, as far as its limit of open files says, and kept
 * in step with what else needs some: the more nodes there are, the more connections with them.
 */
import { Effect, type Scope } from "effect"
import type { NodeConfig } from "../config/NodeConfig.ts"
import type { MeshHostShape } from "../mesh/host/MeshHost.ts"
import { SocketBudget, type SocketLane } from "../request/socket/SocketBudget.ts"
import {
  countOpen,
  type DescriptorShares,
  type Descriptors,
  lowLimit,
  shareDescriptors
} from "./Descriptors.ts"

/** What `status` and `doctor` tell of it. */
export interface DescriptorStatus {
  readonly limit: number | null
  readonly open: number | null
  readonly sockets: number | null
  readonly socketsOpen: number
  readonly problem: string | null
}

export class SocketRoom {
  readonly #descriptors: Descriptors
  readonly #budget: SocketBudget
  readonly shares: DescriptorShares | undefined

  private constructor(descriptors: Descriptors) {
    this.#descriptors = descriptors
    this.shares = shareDescriptors(descriptors)
    this.#budget = new SocketBudget(this.shares?.sockets, this.shares?.spare)
  }

  /** Says so when the limit is low. */
  static readonly make = (descriptors: Descriptors): Effect.Effect<SocketRoom> =>
    Effect.suspend(() => {
      const room = new SocketRoom(descriptors)
      const problem = room.#problem
      return Effect.as(problem === undefined ? Effect.void : Effect.logWarning(problem), room)
    })

  get clients(): SocketLane {
    return this.#budget.clients
  }

  get programs(): SocketLane {
    return this.#budget.programs
  }

  get #problem(): string | undefined {
    return lowLimit(this.#descriptors, this.#budget.total)
  }

  /** Nothing is kept for clients without a listener, nor for programs where none is offered. */
  follow({ outbound, services, upstreams }: NodeConfig): void {
    this.clients.used = outbound.http !== "off" || upstreams.length > 0
    this.programs.used = services.length > 0
  }

  /** Until the scope closes. */
  followMesh(
    host: Pick<MeshHostShape, "connectionCount" | "onConnections">
  ): Effect.Effect<void, never, Scope.Scope> {
    const { shares } = this
    if (shares === undefined) return Effect.void
    const look = () => {
      const beyond = Math.max(0, host.connectionCount() - shares.mesh)
      this.#budget.resize(Math.max(2, shares.sockets - beyond))
    }
    return Effect.acquireRelease(
      Effect.sync(() => {
        look()
        return host.onConnections(look)
      }),
      (stop) => Effect.sync(stop)
    )
  }

  status(): DescriptorStatus {
    const { limit } = this.#descriptors
    const { held, total } = this.#budget
    return {
      limit: limit ?? null,
      open: countOpen() ?? null,
      sockets: limit === undefined ? null : total,
      socketsOpen: held,
      problem: this.#problem ?? null
    }
  }
}
