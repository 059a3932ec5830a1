/**
 * The sockets of programs that this node may have, as far as its limit of open files says, and kept
 * in step with what else needs some: the more nodes there are, the more connections with them.
 */
import { Effect, type Scope } from "effect"
import type { NodeConfig } from "../config/NodeConfig.ts"
import type { MeshHostShape } from "../mesh/host/MeshHost.ts"
import type { ToPlane } from "../request/PlaneMessages.ts"
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

/** More than a process can have. */
const unlimited = 2 ** 31
/** How many clients are told at a time that there is no room, where nothing is limited. */
const usualSpare = 64

type Sockets = Extract<ToPlane, { readonly type: "sockets" }>

export class SocketRoom {
  readonly #descriptors: Descriptors
  readonly shares: DescriptorShares | undefined
  #total: number
  #connections = 0
  #links = 0
  #used = { clients: true, programs: true }
  #tell: () => void = () => undefined

  private constructor(descriptors: Descriptors) {
    this.#descriptors = descriptors
    this.shares = shareDescriptors(descriptors)
    this.#total = this.shares?.sockets ?? unlimited
  }

  /** Says so when the limit is low. */
  static readonly make = (descriptors: Descriptors): Effect.Effect<SocketRoom> =>
    Effect.suspend(() => {
      const room = new SocketRoom(descriptors)
      const problem = room.#problem
      return Effect.as(problem === undefined ? Effect.void : Effect.logWarning(problem), room)
    })

  /**
   * Whom the request threads hear it from, and how many share it: now, and at every change. Each has its part, though
   * calls of few links come to few of them: that hurts where few files may be open, and a node that counts its threads
   * itself has few there (ThreadCount.ts).
   */
  tell(threads: number, post: (message: Sockets) => void): void {
    const share = (whole: number, least: number) => Math.max(least, Math.floor(whole / threads))
    this.#tell = () =>
      post({
        type: "sockets",
        // One each way, or a thread is of no use.
        total: share(this.#total, 2),
        spare: share(this.shares?.spare ?? usualSpare, 1),
        ...this.#used
      })
    this.#tell()
  }

  get #problem(): string | undefined {
    return lowLimit(this.#descriptors, this.#total)
  }

  /** Nothing is kept for clients without a listener, nor for programs where none is offered. */
  follow({ outbound, programs, services, upstreams }: NodeConfig): void {
    const listeners = outbound.listeners.length + upstreams.length + programs.length
    this.#used = {
      clients: outbound.http !== "off" || listeners > 0,
      programs: services.length > 0
    }
    this.#tell()
  }

  /** Until the scope closes. */
  followMesh(
    host: Pick<MeshHostShape, "connectionCount" | "onConnections">
  ): Effect.Effect<void, never, Scope.Scope> {
    const { shares } = this
    if (shares === undefined) return Effect.void
    const look = () => {
      this.#connections = host.connectionCount()
      this.#look(shares)
    }
    return Effect.acquireRelease(
      Effect.sync(() => {
        look()
        return host.onConnections(look)
      }),
      (stop) => Effect.sync(stop)
    )
  }

  /** Links need descriptors of the same share as connections of the mesh plane. */
  followLinks(links: number): void {
    this.#links = links
    if (this.shares !== undefined) this.#look(this.shares)
  }

  #look(shares: DescriptorShares): void {
    const beyond = Math.max(0, this.#connections + this.#links - shares.mesh)
    const total = Math.max(2, shares.sockets - beyond)
    if (total === this.#total) return
    this.#total = total
    this.#tell()
  }

  /** `held`: sockets of clients and programs that are open, over all threads. */
  status(held: number): DescriptorStatus {
    const { limit } = this.#descriptors
    return {
      limit: limit ?? null,
      open: countOpen() ?? null,
      sockets: limit === undefined ? null : this.#total,
      socketsOpen: held,
      problem: this.#problem ?? null
    }
  }
}
