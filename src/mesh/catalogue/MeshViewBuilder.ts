/**
 * From records and membership to what the request plane sees, change by change: what one node says
 * anew touches the services that it offers, or did, and within them its own endpoints. Pure apart from
 * its memory. Endpoints that say the same as before keep their objects.
 */
import { type EndpointView, sameEndpoint, type ViewChange } from "../../model/MeshView.ts"
import type { PeerKey, ServiceName } from "../../model/Names.ts"
import type { ServiceEntry } from "../../model/NodeRecord.ts"
import type { EntryChange } from "./CatalogueChange.ts"
import type { NodeEntry } from "./RecordEntry.ts"
import { type Offer, type ProtocolConflict, ServiceOffers } from "./ServiceOffers.ts"

type MemberState = EndpointView["member"] | "left"

/** What membership says; undefined for a node it has not judged, which is then taken as alive. */
export type MemberLookup = (peer: PeerKey) => MemberState | undefined

type Offers = ReadonlyMap<ServiceName, Offer>

/** One node's part in the view. */
interface Contribution {
  readonly entry: NodeEntry
  readonly offers: Offers
}

const noOffers: Offers = new Map()

export class MeshViewBuilder {
  readonly #self: PeerKey
  readonly #memberOf: MemberLookup
  readonly #contributions = new Map<PeerKey, Contribution>()
  readonly #services = new Map<ServiceName, ServiceOffers>()
  /** Services of which something was said since the last change. */
  #touched = new Set<ServiceName>()
  readonly #torn = new Set<ServiceName>()

  constructor(self: PeerKey, memberOf: MemberLookup) {
    this.#self = self
    this.#memberOf = memberOf
  }

  /** What changed in the catalogue, in any order of nodes. */
  records(changes: Iterable<EntryChange>): void {
    for (const { before, after } of changes) {
      const entry = after ?? before
      if (entry !== undefined) this.#take(entry.record.peer, after)
    }
  }

  /** Those of whom membership may say something else than before. */
  members(peers: Iterable<PeerKey>): void {
    for (const peer of peers) {
      const held = this.#contributions.get(peer)
      if (held !== undefined) this.#take(peer, held.entry)
    }
  }

  /** The step from the view of that version to one with all that came since; undefined: no step. */
  change(since: number): ViewChange | undefined {
    const services: Array<ViewChange["services"][number]> = []
    const gone: Array<ServiceName> = []
    for (const name of this.#touched) {
      const offers = this.#services.get(name)
      const change = offers?.change()
      if (change === "gone") gone.push(name)
      else if (change !== undefined) services.push(change)
      if (change === "gone" || offers?.isEmpty) this.#services.delete(name)
      if (offers?.isTorn) this.#torn.add(name)
      else this.#torn.delete(name)
    }
    this.#touched = new Set()
    if (services.length === 0 && gone.length === 0) return undefined
    return { version: since + 1, since, services, gone }
  }

  /** As of the last change, in the order of the services' names; made when somebody asks. */
  get conflicts(): ReadonlyArray<ProtocolConflict> {
    return Array.from(this.#torn)
      .sort()
      .flatMap((name) => this.#services.get(name)?.conflict() ?? [])
  }

  #take(peer: PeerKey, entry: NodeEntry | undefined): void {
    const before = this.#contributions.get(peer)?.offers ?? noOffers
    const offers = this.#offersOf(entry, before)
    // A tombstone has no part, and is not asked about again.
    if (entry === undefined || entry.record.state === "left") this.#contributions.delete(peer)
    else this.#contributions.set(peer, { entry, offers })
    for (const [name, offer] of offers) {
      if (before.get(name) !== offer) this.#put(name, peer, offer)
    }
    for (const name of before.keys()) if (!offers.has(name)) this.#put(name, peer, undefined)
  }

  #put(name: ServiceName, peer: PeerKey, offer: Offer | undefined): void {
    let service = this.#services.get(name)
    if (service === undefined) {
      service = new ServiceOffers(name)
      this.#services.set(name, service)
    }
    service.put(peer, offer)
    this.#touched.add(name)
  }

  #offersOf(entry: NodeEntry | undefined, before: Offers): Offers {
    if (entry === undefined || entry.record.state === "left") return noOffers
    const { peer, services } = entry.record
    // Whatever others say, this node is here.
    const member = peer === this.#self ? "alive" : (this.#memberOf(peer) ?? "alive")
    if (member === "left") return noOffers
    return new Map(
      services.map((service) => {
        const held = before.get(service.name)
        return [service.name, this.#offer(entry, service, member, held)]
      })
    )
  }

  /** `held` itself when it says the same. */
  #offer(
    { record }: NodeEntry,
    { name, protocol, endpoints }: ServiceEntry,
    member: EndpointView["member"],
    held: Offer | undefined
  ): Offer {
    const known = new Map(held?.endpoints.map((endpoint) => [endpoint.key, endpoint]))
    // By their keys, as everybody who follows the view has them.
    const views = new Map<string, EndpointView>()
    for (const { id, healthy, draining, weight } of endpoints) {
      const view: EndpointView = {
        key: `${record.peer}/${name}/${id}`,
        peer: record.peer,
        node: record.name,
        zone: record.zone,
        endpoint: id,
        healthy,
        draining: draining || record.state === "draining",
        member,
        weight,
        local: record.peer === this.#self
      }
      const before = known.get(view.key)
      views.set(view.key, before !== undefined && sameEndpoint(before, view) ? before : view)
    }
    const offer: Offer = {
      node: record.name,
      protocol,
      epoch: record.epoch,
      dead: member === "dead",
      endpoints: Array.from(views.values())
    }
    return held !== undefined && sameOffer(held, offer) ? held : offer
  }
}

const sameOffer = (a: Offer, b: Offer): boolean =>
  a.node === b.node &&
  a.protocol === b.protocol &&
  a.epoch === b.epoch &&
  a.dead === b.dead &&
  a.endpoints.length === b.endpoints.length &&
  a.endpoints.every((endpoint, index) => endpoint === b.endpoints[index])
