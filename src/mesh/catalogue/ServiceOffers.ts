/**
 * All nodes' offers of one service, what they make of it together, and what of that is new. Each
 * change costs the endpoints of the nodes that said something new; all are looked at when the
 * protocol of the service changes, or while two protocols have equally many votes.
 */
import {
  difference,
  type EndpointView,
  type LeftOut,
  type ServiceChange,
  sameEndpoint
} from "../../model/MeshView.ts"
import type { NodeName, PeerKey, ServiceName } from "../../model/Names.ts"
import type { Protocol } from "../../model/NodeRecord.ts"

/** A value: one that says something else is another object. */
export interface Offer {
  readonly node: NodeName
  readonly protocol: Protocol
  /** Start of the node, as its record says. */
  readonly epoch: number
  readonly dead: boolean
  readonly endpoints: ReadonlyArray<EndpointView>
}

/** Nodes that say different protocols for one service. */
export interface ProtocolConflict {
  readonly service: ServiceName
  /** The one that calls use; who says another is left out of the view. */
  readonly used: Protocol
  /** What each node says, in the order of their names. */
  readonly said: ReadonlyArray<{ readonly node: NodeName; readonly protocol: Protocol }>
}

interface Votes {
  all: number
  living: number
}

export class ServiceOffers {
  readonly name: ServiceName
  readonly #offers = new Map<PeerKey, Offer>()
  /** Who said something new since the last change, and what they had said at that time. */
  #news = new Map<PeerKey, Offer | undefined>()
  readonly #votes = new Map<Protocol, Votes>()
  /** As of the last change; undefined: the service is not in the view. */
  #protocol: Protocol | undefined

  constructor(name: ServiceName) {
    this.name = name
  }

  /** Undefined: the node offers it no longer. */
  put(peer: PeerKey, offer: Offer | undefined): void {
    const held = this.#offers.get(peer)
    if (held === offer) return
    if (!this.#news.has(peer)) this.#news.set(peer, held)
    if (held !== undefined) this.#count(held, -1)
    if (offer === undefined) this.#offers.delete(peer)
    else {
      this.#count(offer, 1)
      this.#offers.set(peer, offer)
    }
  }

  /** What is new since the last one; undefined: nothing. `gone`: nobody offers it any more. */
  change(): ServiceChange | "gone" | undefined {
    const news = this.#news
    if (news.size === 0) return undefined
    this.#news = new Map()
    const before = this.#protocol
    if (this.#offers.size === 0) {
      this.#protocol = undefined
      return before === undefined ? undefined : "gone"
    }
    const protocol = this.#agreed()
    this.#protocol = protocol
    const difference = new Difference(before, protocol)
    for (const [peer, old] of news) difference.add(old, this.#offers.get(peer))
    if (before !== undefined && before !== protocol) {
      for (const [peer, offer] of this.#offers) if (!news.has(peer)) difference.add(offer, offer)
    }
    return before === protocol && difference.isEmpty ? undefined : difference.of(this.name)
  }

  /** Nobody offers it. */
  get isEmpty(): boolean {
    return this.#offers.size === 0
  }

  /** Among the living: what the dead say is no trouble before they are back. */
  get isTorn(): boolean {
    for (const [protocol, { living }] of this.#votes) {
      if (protocol !== this.#protocol && living > 0) return true
    }
    return false
  }

  conflict(): ProtocolConflict | undefined {
    const used = this.#protocol
    if (used === undefined || !this.isTorn) return undefined
    const said = Array.from(this.#offers.values())
      .filter(({ dead }) => !dead)
      .map(({ node, protocol }) => ({ node, protocol }))
      .sort((a, b) => (a.node < b.node ? -1 : 1))
    return { service: this.name, used, said }
  }

  #count({ protocol, dead }: Offer, by: 1 | -1): void {
    const votes = this.#votes.get(protocol) ?? { all: 0, living: 0 }
    votes.all += by
    if (!dead) votes.living += by
    if (votes.all === 0) this.#votes.delete(protocol)
    else this.#votes.set(protocol, votes)
  }

  /**
   * The protocol that most of those say that are not dead; among equals that of the node that has run
   * longest: a newcomer with a mistake in its config does not take a service over. Every node decides
   * by the same records and so alike.
   */
  #agreed(): Protocol {
    const anyLiving = Array.from(this.#votes.values()).some(({ living }) => living > 0)
    const countOf = ({ all, living }: Votes) => (anyLiving ? living : all)
    const most = Math.max(...Array.from(this.#votes.values(), countOf))
    const best = Array.from(this.#votes)
      .filter(([, votes]) => countOf(votes) === most)
      .map(([protocol]) => protocol)
      .sort()
    const [first] = best
    if (first === undefined) throw new Error(`nobody offers ${this.name}`)
    if (best.length === 1) return first
    const since = new Map<Protocol, number>()
    for (const { protocol, epoch, dead } of this.#offers.values()) {
      if (dead && anyLiving) continue
      since.set(protocol, Math.min(since.get(protocol) ?? epoch, epoch))
    }
    const sinceOf = (protocol: Protocol) => since.get(protocol) ?? Number.POSITIVE_INFINITY
    return best.reduce((one, other) => (sinceOf(other) < sinceOf(one) ? other : one))
  }
}

/** What nodes' parts in a service were, and are, gathered into one change. */
class Difference {
  readonly #before: Protocol | undefined
  readonly #after: Protocol
  readonly #set: Array<EndpointView> = []
  readonly #removed: Array<string> = []
  readonly #leftOut: Array<LeftOut> = []
  readonly #noLongerLeftOut: Array<string> = []

  constructor(before: Protocol | undefined, after: Protocol) {
    this.#before = before
    this.#after = after
  }

  add(old: Offer | undefined, now: Offer | undefined): void {
    const endpoints = difference(
      endpointsOf(old, this.#before),
      endpointsOf(now, this.#after),
      ({ key }) => key,
      sameEndpoint
    )
    this.#set.push(...endpoints.set)
    this.#removed.push(...endpoints.removed)
    const leftOut = difference(
      leftOutOf(old, this.#before),
      leftOutOf(now, this.#after),
      ({ endpoint }) => endpoint.key,
      (a, b) => a.protocol === b.protocol && sameEndpoint(a.endpoint, b.endpoint)
    )
    this.#leftOut.push(...leftOut.set)
    this.#noLongerLeftOut.push(...leftOut.removed)
  }

  get #isOfThoseLeftOut(): boolean {
    return this.#leftOut.length > 0 || this.#noLongerLeftOut.length > 0
  }

  get isEmpty(): boolean {
    return this.#set.length === 0 && this.#removed.length === 0 && !this.#isOfThoseLeftOut
  }

  of(name: ServiceName): ServiceChange {
    const change = { name, protocol: this.#after, set: this.#set, removed: this.#removed }
    if (!this.#isOfThoseLeftOut) return change
    return { ...change, leftOut: { set: this.#leftOut, removed: this.#noLongerLeftOut } }
  }
}

const endpointsOf = (
  offer: Offer | undefined,
  used: Protocol | undefined
): ReadonlyArray<EndpointView> => (offer?.protocol === used ? (offer?.endpoints ?? []) : [])

const leftOutOf = (offer: Offer | undefined, used: Protocol | undefined): ReadonlyArray<LeftOut> =>
  offer === undefined || used === undefined || offer.protocol === used
    ? []
    : offer.endpoints.map((endpoint) => ({ protocol: offer.protocol, endpoint }))
