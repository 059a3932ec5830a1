/**
 * Which runners of a cluster are there, as the mesh knows it. A runner's address is the key of its endpoint: nobody
 * has to give it a host and a port, and who asks for it asks that very program.
 */
import type { Runner } from "@effect/cluster/Runner"
import { make as makeAddress, type RunnerAddress } from "@effect/cluster/RunnerAddress"
import type { MeshDirectory } from "../api/MeshDirectory.ts"
import type { EndpointView } from "../model/MeshView.ts"
import type { ServiceName } from "../model/Names.ts"

/** @effect/cluster wants a port; keys have none. */
const noPort = 0

/** `key`: of an endpoint. */
export const addressOf = (key: string): RunnerAddress => makeAddress(key, noPort)

export const keyOf = ({ host }: RunnerAddress): string => host

/** A runner, and whether it gets shards. */
export type Known = readonly [runner: Runner, healthy: boolean]

/** Gets shards: its program serves, its node stays, and membership has not given that up. */
const isWell = ({ draining, healthy, member }: EndpointView): boolean =>
  healthy && !draining && member !== "dead"

export class MeshRunners {
  readonly #directory: MeshDirectory["Type"]
  readonly #service: ServiceName
  /** Key of this program's own runner, if it has one. */
  readonly #own: string | undefined

  constructor(directory: MeshDirectory["Type"], service: ServiceName, own: string | undefined) {
    this.#directory = directory
    this.#service = service
    this.#own = own
  }

  isAlive(address: RunnerAddress): boolean {
    const key = keyOf(address)
    const endpoint = this.#endpoint(key)
    // It knows best that it is there: what its node says of it may be old. That the node leaves, it has to believe.
    if (key === this.#own) return endpoint?.draining !== true
    return endpoint !== undefined && isWell(endpoint)
  }

  /** Has the program's node told who there is? It tells all at once, its own among them. */
  get isTold(): boolean {
    return this.#own === undefined || this.#endpoint(this.#own) !== undefined
  }

  /**
   * As the storage has them, with the mesh's word on who is well. Where that would leave nobody the storage is
   * believed: the mesh may be what is ill, and shards that belong to nobody are of no use.
   */
  judge(stored: ReadonlyArray<Known>): Array<Known> {
    const known = stored.map(([runner]): Known => [runner, this.isAlive(runner.address)])
    return known.some(([, healthy]) => healthy) ? known : [...stored]
  }

  #endpoint(key: string): EndpointView | undefined {
    return this.#directory.endpoints(this.#service).find((one) => one.key === key)
  }
}
