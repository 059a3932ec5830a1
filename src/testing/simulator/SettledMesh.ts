/**
 * A mesh that has long been at rest, so that a run need not begin with its becoming one: everybody knows all, is
 * connected with whom it watches, and has neighbours in gossip.
 */
import { Catalogue } from "../../mesh/catalogue/Catalogue.ts"
import { makeCatalogueState } from "../../mesh/catalogue/CatalogueBehaviour.ts"
import { makeOwnRecord, ownTimes } from "../../mesh/catalogue/OwnRecord.ts"
import { makeMembershipState } from "../../mesh/membership/MembershipState.ts"
import { reborn } from "../../mesh/membership/MemberTable.ts"
import { type ObserverRing, observersPerNode } from "../../mesh/membership/ObserverRing.ts"
import { PeerMap } from "../../mesh/membership/PeerMap.ts"
import { Connection } from "./Connection.ts"
import { gossipNumbers } from "./Gossip.ts"
import type { LinkOptions } from "./Links.ts"
import { catalogueTopic, membershipTopic } from "./Message.ts"
import type { SimulatedNode } from "./SimulatedNode.ts"
import type { World } from "./World.ts"

export interface SettledOptions {
  /** Records are of all ages up to six hours. Default: all new. */
  readonly aged?: boolean
  readonly links?: LinkOptions
}

/** In an order of chance, by as many numbers as there are: a sort asks as its engine likes. */
const shuffled = <A>(items: ReadonlyArray<A>, random: () => number): ReadonlyArray<A> => {
  const order = [...items]
  for (let last = order.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1))
    ;[order[last], order[other]] = [order[other]!, order[last]!]
  }
  return order
}

/** `nodes`: the first ones of the world, whose nodes share what they know. */
export const settle = (
  world: World,
  nodes: ReadonlyArray<SimulatedNode>,
  { aged, links }: SettledOptions
): void => {
  const { random, records, sharing, wallStart } = world
  if (nodes.length === 0) return
  const ages = nodes.map(() => (aged ? random() * ownTimes.resign : 0))
  let catalogue = Catalogue.empty
  for (const { facts, index, peer } of nodes.map((it) => ({
    facts: it.facts(0),
    index: it.index,
    peer: it.peer
  }))) {
    const signedAt = Math.floor(wallStart - ages[index]!)
    const entry = records.seal({
      ...facts,
      peer,
      epoch: wallStart - 86_400_000,
      version: 0,
      signedAt
    })
    catalogue = catalogue.merge(entry)[0]
  }
  catalogue = sharing.catalogue(Catalogue.empty, catalogue, catalogue.changesSince(Catalogue.empty))
  const epoch = wallStart - 86_400_000
  const ring = sharing.rings.empty.filled(nodes.map(({ peer }) => peer))
  const members = PeerMap.of(
    nodes.map(({ index, peer }) =>
      reborn({ peer, name: nodes[index]!.facts(0).name }, epoch, wallStart)
    )
  )
  for (const node of nodes) {
    node.disk.catalogue = catalogue
    node.disk.epoch = epoch
    const own = { ...makeOwnRecord(node.facts(0), epoch), wanted: true, version: 0 }
    node.catalogue.state = makeCatalogueState(catalogue, {
      ...own,
      publishedAt: -ages[node.index]!
    })
    node.membership.state = {
      ...makeMembershipState(node.peer, sharing.rings.empty),
      ring,
      members: members.without(node.peer),
      incarnation: epoch,
      retryAt: random() * node.membership.options.retryDead,
      pullAt: random() * node.membership.options.pull
    }
    node.settle()
  }
  connect(world, nodes, links?.toAll === true, ring)
  for (const node of nodes) node.begin()
}

const connect = (
  { queue, random }: World,
  nodes: ReadonlyArray<SimulatedNode>,
  toAll: boolean,
  ring: ObserverRing
): void => {
  const byPeer = new Map(nodes.map((node) => [node.peer, node]))
  for (const node of nodes) {
    const peers =
      toAll || nodes.length <= observersPerNode + 1
        ? nodes.map(({ peer }) => peer)
        : ring.subjectsOf(node.peer)
    const others = peers.map((peer) => byPeer.get(peer)!).filter((other) => other !== node)
    node.following = new Set(others)
    for (const other of others) {
      node.met(other)
      const there = other.links.open.get(node.index)
      const ends = random() < 0.5 ? ([node, other] as const) : ([other, node] as const)
      node.links.place(there ?? new Connection(...ends, queue.now), true)
    }
  }
  for (const topic of [catalogueTopic, membershipTopic] as const) {
    for (const node of nodes) {
      const others = shuffled([...node.links.open.keys()], random)
      for (const index of others) {
        const other = nodes[index]!
        const { neighbours, most } = gossipNumbers
        if (node.gossip.neighbours(topic).size >= neighbours) break
        if (other.gossip.neighbours(topic).size >= most) continue
        node.gossip.place(topic, index)
        other.gossip.place(topic, node.index)
      }
    }
  }
}
