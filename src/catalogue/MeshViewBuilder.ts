/**
 * From records and membership to what the request plane sees. Pure apart from its memory: it
 * keeps the last result and hands out the same objects again wherever nothing changed, so that
 * plans are only compiled anew for services that did change.
 */
import type { EndpointView, ServiceView } from "../model/MeshView.ts"
import type { NodeName, PeerKey, ServiceName } from "../model/Names.ts"
import type { Protocol } from "../model/NodeRecord.ts"
import type { Catalogue } from "./Catalogue.ts"
import type { NodeEntry } from "./RecordEntry.ts"

type MemberState = EndpointView["member"] | "left"

/** What membership says; undefined for a node it has not judged, which is then taken as alive. */
export type MemberLookup = (peer: PeerKey) => MemberState | undefined

interface Offer {
  readonly protocol: Protocol
  readonly endpoints: ReadonlyArray<EndpointView>
}

/** One node's part in the view, kept while its record and its membership stay. */
interface Contribution {
  readonly entry: NodeEntry
  readonly member: MemberState
  readonly offers: ReadonlyMap<ServiceName, Offer>
}

/** Nodes that say different protocols for one service. */
export interface ProtocolConflict {
  readonly service: ServiceName
  readonly used: Protocol
  /** Left out of the view. */
  readonly nodes: ReadonlyArray<NodeName>
}

const noOffers: ReadonlyMap<ServiceName, Offer> = new Map()

export class MeshViewBuilder {
  readonly #self: PeerKey
  #contributions = new Map<PeerKey, Contribution>()
  #services: ReadonlyMap<ServiceName, ServiceView> = new Map()
  #conflicts: ReadonlyArray<ProtocolConflict> = []

  constructor(self: PeerKey) {
    this.#self = self
  }

  /** Of the last build. */
  get conflicts(): ReadonlyArray<ProtocolConflict> {
    return this.#conflicts
  }

  /** The very same map as before when nothing changed. */
  build(catalogue: Catalogue, memberOf: MemberLookup): ReadonlyMap<ServiceName, ServiceView> {
    const contributions = new Map<PeerKey, Contribution>()
    let changed = false
    for (const entry of catalogue.entries()) {
      if (entry.record.state === "left") continue
      const { peer } = entry.record
      const member = peer === this.#self ? "alive" : (memberOf(peer) ?? "alive")
      const before = this.#contributions.get(peer)
      if (before?.entry === entry && before.member === member) {
        contributions.set(peer, before)
        continue
      }
      changed = true
      const offers = member === "left" ? noOffers : this.#offersOf(entry, member)
      contributions.set(peer, { entry, member, offers })
    }
    changed ||= contributions.size !== this.#contributions.size
    this.#contributions = contributions
    if (changed) this.#gather()
    return this.#services
  }

  #offersOf(entry: NodeEntry, member: EndpointView["member"]): ReadonlyMap<ServiceName, Offer> {
    const { record } = entry
    return new Map(
      record.services.map(({ name, protocol, endpoints }) => [
        name,
        {
          protocol,
          endpoints: endpoints.map(
            ({ id, healthy, draining, weight }): EndpointView => ({
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
            })
          )
        }
      ])
    )
  }

  #gather(): void {
    const offers = new Map<ServiceName, Array<Offer>>()
    // In order of peers, so that equal catalogues give equal views whatever came first.
    const inOrder = Array.from(this.#contributions.keys()).sort()
    for (const peer of inOrder) {
      for (const [name, offer] of this.#contributions.get(peer)!.offers) {
        const known = offers.get(name)
        if (known === undefined) offers.set(name, [offer])
        else known.push(offer)
      }
    }
    const conflicts: Array<ProtocolConflict> = []
    const services = new Map<ServiceName, ServiceView>()
    let same = offers.size === this.#services.size
    for (const [name, all] of offers) {
      const protocol = agreedProtocol(all)
      const endpoints: Array<EndpointView> = []
      const others = new Set<NodeName>()
      for (const offer of all) {
        for (const endpoint of offer.endpoints) {
          if (offer.protocol === protocol) endpoints.push(endpoint)
          else others.add(endpoint.node)
        }
      }
      if (others.size > 0) {
        conflicts.push({ service: name, used: protocol, nodes: Array.from(others) })
      }
      const before = this.#services.get(name)
      const view = { name, protocol, endpoints: shared(before?.endpoints, endpoints) }
      if (before?.protocol === protocol && before.endpoints === view.endpoints) {
        services.set(name, before)
      } else {
        services.set(name, view)
        same = false
      }
    }
    this.#conflicts = conflicts
    if (!same) this.#services = services
  }
}

/** What most nodes say; among equals the first by name, so that all nodes decide alike. */
const agreedProtocol = (offers: ReadonlyArray<Offer>): Protocol => {
  const votes = new Map<Protocol, number>()
  for (const { protocol } of offers) votes.set(protocol, (votes.get(protocol) ?? 0) + 1)
  let best = offers[0]!.protocol
  for (const [protocol, count] of votes) {
    const lead = count - votes.get(best)!
    if (lead > 0 || (lead === 0 && protocol < best)) best = protocol
  }
  return best
}

const sameEndpoint = (a: EndpointView, b: EndpointView): boolean =>
  a === b ||
  (a.key === b.key &&
    a.node === b.node &&
    a.zone === b.zone &&
    a.healthy === b.healthy &&
    a.draining === b.draining &&
    a.member === b.member &&
    a.weight === b.weight)

/** `next` with the objects of `before` where they say the same; `before` itself when all do. */
const shared = (
  before: ReadonlyArray<EndpointView> | undefined,
  next: ReadonlyArray<EndpointView>
): ReadonlyArray<EndpointView> => {
  if (before === undefined) return next
  const known = new Map(before.map((endpoint) => [endpoint.key, endpoint]))
  const merged = next.map((endpoint) => {
    const held = known.get(endpoint.key)
    return held !== undefined && sameEndpoint(held, endpoint) ? held : endpoint
  })
  return merged.length === before.length && merged.every((one, index) => one === before[index])
    ? before
    : merged
}
