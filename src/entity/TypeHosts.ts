/**
 * Who runs a type's actors, and which of them each shard belongs to: what the catalogue says, followed as it
 * changes. One for each type that this program runs or calls.
 */
import type { MeshDirectory } from "../api/MeshDirectory.ts"
import type { EndpointView } from "../model/MeshView.ts"
import type { PeerKey, ServiceName } from "../model/Names.ts"
import { type Circle, isWithin, nearestCircle, type PlacedBy } from "./NearHosts.ts"
import { Placement } from "./Placement.ts"

/** Stays, and membership has not given it up. */
const isHost = ({ draining, member }: EndpointView): boolean => !draining && member !== "dead"

/**
 * Those that take actors say themselves that they are well. When none does (they have all lost the store), they keep
 * what they have: nothing would be better elsewhere, and what they can still do they do.
 */
const takers = (hosts: ReadonlyArray<EndpointView>): ReadonlyArray<EndpointView> => {
  const well = hosts.filter(({ healthy }) => healthy)
  return well.length > 0 ? well : hosts
}

/**
 * `before` is nobody's where what was placed then was among other hosts (`Placed`): what those run are other actors,
 * and none of them comes or goes.
 */
type Listener = (before: Placement, after: Placement) => void

export class TypeHosts {
  readonly type: string
  readonly service: ServiceName
  readonly placed: PlacedBy
  readonly #directory: MeshDirectory["Type"]
  readonly #listeners = new Set<Listener>()
  readonly #waiting = new Set<() => void>()
  readonly #unsubscribe: () => void
  /** Of those that take none at the moment, or are given up: they may still be asked. */
  #endpoints = new Map<string, EndpointView>()
  #placement = Placement.nobody
  /** Of all hosts, whoever asks. */
  #whole = Placement.nobody
  #isUnwell = false
  /** In which shards are placed for this program, and from where it asks. */
  #circle: Circle = "all"
  #zone: string | undefined
  /** This program's own, once it does not want any more shards. */
  #leaving: string | undefined

  constructor(
    type: string,
    service: ServiceName,
    directory: MeshDirectory["Type"],
    placed: PlacedBy = "mesh"
  ) {
    this.type = type
    this.placed = placed
    this.service = service
    this.#directory = directory
    this.#unsubscribe = directory.subscribe(service, () => this.#look())
    this.#look()
  }

  close(): void {
    this.#unsubscribe()
  }

  get placement(): Placement {
    return this.#placement
  }

  owner(shard: number): string | undefined {
    return this.#placement.owner(shard)
  }

  /** Name of its node. */
  ownerName(shard: number): string | undefined {
    return this.#endpoints.get(this.owner(shard) ?? "")?.node
  }

  /** What people know the host by: its node, and its endpoint there. */
  called(key: string): string {
    const endpoint = this.#endpoints.get(key)
    return endpoint === undefined ? key : `${endpoint.node} (${endpoint.endpoint})`
  }

  /** That is this for all who ask: for what is to be done once in the mesh. */
  wholeOwner(shard: number): string | undefined {
    return this.#whole.owner(shard)
  }

  /** There are hosts, and none of them says that it is well. */
  get isUnwell(): boolean {
    return this.#isUnwell
  }

  /** Known, and not given up by membership: it may be asked to let a shard go. */
  isThere(key: string): boolean {
    const endpoint = this.#endpoints.get(key)
    return endpoint !== undefined && endpoint.member !== "dead"
  }

  /** It offers the type, well or not. */
  isHost(peer: PeerKey): boolean {
    for (const endpoint of this.#endpoints.values()) if (endpoint.peer === peer) return true
    return false
  }

  /** All that may be asked to let a shard go. Those that are further away run other actors. */
  get there(): ReadonlyArray<string> {
    return [...this.#endpoints.values()].flatMap((endpoint) =>
      this.isThere(endpoint.key) && isWithin(this.#circle, endpoint, this.#zone)
        ? [endpoint.key]
        : []
    )
  }

  /** For good: this program takes no shard of the type any more, before the others have heard so. */
  leave(key: string): void {
    this.#leaving = key
    this.#look()
  }

  /** This program's own is back in. */
  stay(): void {
    this.#leaving = undefined
    this.#look()
  }

  /** Told when shards may have changed hands; returns how to stop. */
  onMoves(listener: Listener): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  /** Calls back once, when anything has changed; returns how to stop. */
  onChange(then: () => void): () => void {
    this.#waiting.add(then)
    return () => {
      this.#waiting.delete(then)
    }
  }

  #look(): void {
    const endpoints = this.#directory.endpoints(this.service)
    this.#endpoints = new Map(endpoints.map((endpoint) => [endpoint.key, endpoint]))
    const all = takers(endpoints.filter((one) => isHost(one) && one.key !== this.#leaving))
    this.#isUnwell = all.length > 0 && all.every(({ healthy }) => !healthy)
    // Who has not said its own zone may know it by what else its node offers.
    const zone = this.#directory.zone ?? endpoints.find(({ local }) => local)?.zone
    const circle = nearestCircle(this.placed, all, zone)
    const hosts = all.filter((one) => isWithin(circle, one, zone))
    const before = this.#placement
    const isOther = circle !== this.#circle || (circle === "zone" && zone !== this.#zone)
    this.#circle = circle
    this.#zone = zone
    if (!this.#whole.isOf(all)) this.#whole = new Placement(this.type, all)
    if (!before.isOf(hosts)) {
      this.#placement = hosts.length === all.length ? this.#whole : new Placement(this.type, hosts)
      const comparable = isOther ? Placement.nobody : before
      for (const listener of this.#listeners) listener(comparable, this.#placement)
    }
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const then of waiting) then()
  }
}
