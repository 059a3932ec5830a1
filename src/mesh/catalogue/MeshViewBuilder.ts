/**
 * From records and membership to what the request plane sees. Pure apart from its memory: it
 * keeps the last result and hands out the same objects again wherever nothing changed, so that
 * plans are only compiled anew for services that did change.
 */
import type { EndpointView, LeftOut, ServiceView } from "../../model/MeshView.ts"
import type { NodeName, PeerKey, ServiceName } from "../../model/Names.ts"
import type { Protocol } from "../../model/NodeRecord.ts"
import type { Catalogue } from "./Catalogue.ts"
import type { NodeEntry } from "./RecordEntry.ts"

type MemberState = EndpointView["member"] | "left"

/** What membership says; undefined for a node it has not judged, which is then taken as alive. */
export type MemberLookup = (peer: PeerKey) => MemberState | undefined

interface Offer {
  readonly node: NodeName
  readonly protocol: Protocol
  /** Start of the node, as its record says. */
  readonly epoch: number
  readonly dead: boolean
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
  /** The one that calls use; who says another is left out of the view. */
  readonly used: Protocol
  /** What each node says, in the order of their names. */
  readonly said: ReadonlyArray<{ readonly node: NodeName; readonly protocol: Protocol }>
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
          node: record.name,
          protocol,
          epoch: record.epoch,
          dead: member === "dead",
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
      const endpoints = all.flatMap((offer) => (offer.protocol === protocol ? offer.endpoints : []))
      const leftOut = all.flatMap((offer): ReadonlyArray<LeftOut> => {
        if (offer.protocol === protocol) return []
        return offer.endpoints.map((endpoint) => ({ protocol: offer.protocol, endpoint }))
      })
      // What the dead say is no trouble before they are back.
      const living = all.filter(({ dead }) => !dead)
      if (living.some((offer) => offer.protocol !== protocol)) {
        const said = living.map(({ node, protocol }) => ({ node, protocol }))
        said.sort((a, b) => (a.node < b.node ? -1 : 1))
        conflicts.push({ service: name, used: protocol, said })
      }
      const before = this.#services.get(name)
      const view: ServiceView = {
        name,
        protocol,
        endpoints: shared(before?.endpoints, endpoints),
        ...(leftOut.length === 0 ? {} : { leftOut: sharedLeftOut(before?.leftOut, leftOut) })
      }
      if (
        before?.protocol === protocol &&
        before.endpoints === view.endpoints &&
        before.leftOut === view.leftOut
      ) {
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

/**
 * What most nodes say that are not dead, so that hosts replaced by others with a new protocol do
 * not outvote them while their records last. Where as many say one as the other, what the node says
 * that has run longest: a newcomer with a mistake in its config does not take a service over. Every
 * node decides by the same records and so alike.
 */
const agreedProtocol = (offers: ReadonlyArray<Offer>): Protocol => {
  const [first] = offers
  if (first === undefined || offers.every(({ protocol }) => protocol === first.protocol)) {
    return first?.protocol ?? "http"
  }
  const living = offers.filter(({ dead }) => !dead)
  const votes = new Map<Protocol, { count: number; since: number }>()
  for (const { protocol, epoch } of living.length === 0 ? offers : living) {
    const { count, since } = votes.get(protocol) ?? { count: 0, since: epoch }
    votes.set(protocol, { count: count + 1, since: Math.min(since, epoch) })
  }
  const [best] = Array.from(votes).sort(
    ([nameA, a], [nameB, b]) => b.count - a.count || a.since - b.since || (nameA < nameB ? -1 : 1)
  )
  return best?.[0] ?? first.protocol
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

const sharedLeftOut = (
  before: ReadonlyArray<LeftOut> | undefined,
  next: ReadonlyArray<LeftOut>
): ReadonlyArray<LeftOut> => {
  const same =
    before?.length === next.length &&
    next.every(
      ({ endpoint, protocol }, index) =>
        before[index]?.protocol === protocol && sameEndpoint(before[index].endpoint, endpoint)
    )
  return same ? before : next
}
