/**
 * Gossip as gossipsub does it with the mesh's settings: each node has about four neighbours per topic
 * among its connections, to whom it hands on what is news to it; once a second it tells those that are
 * none which messages it had, and they ask for what they lack.
 */
import { catalogueTopic, type Message, membershipTopic, type Topic } from "./Message.ts"
import type { MeshNode, NodeGossip } from "./World.ts"

/** Those of GossipsubOptions.ts, and gossipsub's own where that leaves them. */
export const gossipNumbers = {
  neighbours: 4,
  fewest: 3,
  most: 6,
  /** Told of messages at least, if there are so many. */
  lazy: 4,
  heartbeat: 1_000,
  /** Heartbeats in which a message is told of. */
  told: 3,
  pruneBackoff: 60_000
} as const

/** What was news in one heartbeat, by topic. */
type News = readonly [Array<Message>, Array<Message>]

const noNews = (): News => [[], []]
const hasNews = (news: News): boolean => news.some((messages) => messages.length > 0)

export class Gossip implements NodeGossip {
  readonly #node: MeshNode
  readonly #neighbours: readonly [Set<number>, Set<number>] = [new Set(), new Set()]
  readonly #backoff = new Map<number, number>()
  /** Of as many heartbeats as it is told of, the last one last. */
  #recent: ReadonlyArray<News> = [noNews()]
  #beating = false
  /** Messages that were news here. */
  heard = 0

  constructor(node: MeshNode) {
    this.#node = node
  }

  neighbours(topic: Topic): ReadonlySet<number> {
    return this.#neighbours[topic]
  }

  /** Tells everybody. */
  publish(message: Message): void {
    if (message.isSeen(this.#node.index)) return
    message.see(this.#node.index)
    const to = new Set(this.#neighbours[message.topic])
    const { neighbours } = gossipNumbers
    if (to.size < neighbours) {
      for (const index of this.#others(message.topic)) {
        if (to.size >= neighbours) break
        to.add(index)
      }
    }
    this.#remember(message)
    for (const index of to) this.#pass(message, index)
  }

  receive(message: Message, from: number): void {
    if (message.isSeen(this.#node.index)) return
    message.see(this.#node.index)
    this.#node.loop.charge(this.#node.world.profile.cost.verify)
    if (this.#node.judge(message) !== "accept") return
    this.heard++
    this.#remember(message)
    this.#neighbours[message.topic].forEach((index) => {
      if (index !== from) this.#pass(message, index)
    })
  }

  connected(): void {
    this.#beat()
  }

  lost(index: number): void {
    for (const neighbours of this.#neighbours) neighbours.delete(index)
    this.#beat()
  }

  /** Makes it a neighbour as if it had long been one. */
  place(topic: Topic, index: number): void {
    this.#neighbours[topic].add(index)
  }

  #remember(message: Message): void {
    this.#recent.at(-1)![message.topic].push(message)
    this.#beat()
  }

  #pass(message: Message, index: number): void {
    const node = this.#node
    const connection = node.links.open.get(index)
    if (connection === undefined) return
    const { network, profile, random } = node.world
    node.loop.charge(profile.cost.forward)
    const size = message.size + profile.size.gossip
    const { receive } = profile.cost
    const isTwice = network.duplication > 0 && random() < network.duplication
    connection.pass(node, size, receive, message)
    if (!isTwice) return
    const to = connection.other(node)
    connection.send(node, size, receive, () => to.gossip.receive(message, node.index))
  }

  /** Connected ones that are no neighbours, in an order of chance. */
  #others(topic: Topic): Array<number> {
    const neighbours = this.#neighbours[topic]
    const others = Array.from(this.#node.links.open.keys()).filter((it) => !neighbours.has(it))
    const { random } = this.#node.world
    for (let at = others.length - 1; at > 0; at--) {
      const other = Math.floor(random() * (at + 1))
      const held = others[at]!
      others[at] = others[other]!
      others[other] = held
    }
    return others
  }

  /** Soon there is something to do at a heartbeat; those at which there is nothing are left out. */
  #beat(): void {
    if (this.#beating) return
    this.#beating = true
    const { heartbeat } = gossipNumbers
    const { now } = this.#node.world.queue
    const phase = this.#node.phase * heartbeat
    const wait = heartbeat - ((((now - phase) % heartbeat) + heartbeat) % heartbeat)
    this.#node.later(wait, () => {
      this.#beating = false
      this.#heartbeat()
    })
  }

  #heartbeat(): void {
    let more = false
    for (const topic of [catalogueTopic, membershipTopic]) if (this.#tend(topic)) more = true
    for (const topic of [catalogueTopic, membershipTopic]) this.#tell(topic)
    this.#recent = [...this.#recent, noNews()].slice(-gossipNumbers.told)
    if (more || this.#recent.some(hasNews)) this.#beat()
  }

  /** Takes neighbours on, or leaves some. Is there more to be done later? */
  #tend(topic: Topic): boolean {
    const neighbours = this.#neighbours[topic]
    const { fewest, most, neighbours: good, pruneBackoff } = gossipNumbers
    const { now } = this.#node.world.queue
    if (neighbours.size > most) {
      const all = Array.from(neighbours)
      for (const index of all.slice(good)) {
        neighbours.delete(index)
        this.#backoff.set(2 * index + topic, now + pruneBackoff)
        this.#control(index, (it, from) => it.pruned(topic, from))
      }
    }
    if (neighbours.size >= fewest) return false
    for (const index of this.#others(topic)) {
      if (neighbours.size >= good) break
      if ((this.#backoff.get(2 * index + topic) ?? 0) > now) continue
      neighbours.add(index)
      this.#control(index, (it, from) => it.grafted(topic, from))
    }
    return neighbours.size < fewest && this.#node.links.open.size > neighbours.size
  }

  grafted(topic: Topic, from: number): void {
    const neighbours = this.#neighbours[topic]
    const { now } = this.#node.world.queue
    if (neighbours.has(from) || !this.#node.links.open.has(from)) return
    const refused = neighbours.size >= gossipNumbers.most
    if (refused || (this.#backoff.get(2 * from + topic) ?? 0) > now) {
      this.#backoff.set(2 * from + topic, now + gossipNumbers.pruneBackoff)
      this.#control(from, (it, index) => it.pruned(topic, index))
    } else neighbours.add(from)
  }

  pruned(topic: Topic, from: number): void {
    this.#neighbours[topic].delete(from)
    const until = this.#node.world.queue.now + gossipNumbers.pruneBackoff
    this.#backoff.set(2 * from + topic, until)
    this.#beat()
  }

  #control(index: number, task: (it: NodeGossip, from: number) => void): void {
    const node = this.#node
    const connection = node.links.open.get(index)
    const { cost, size } = node.world.profile
    connection?.send(node, size.control, cost.receive, () =>
      task(connection.other(node).gossip, node.index)
    )
  }

  /** "I had these", to those that are no neighbours; they ask for what they lack. */
  #tell(topic: Topic): void {
    const messages = this.#recent.flatMap((news) => news[topic])
    if (messages.length === 0) return
    const node = this.#node
    const { cost, size } = node.world.profile
    for (const index of this.#others(topic).slice(0, gossipNumbers.lazy)) {
      const connection = node.links.open.get(index)!
      const to = connection.other(node)
      const bytes = size.control + messages.length * size.id
      const listens = to.up && to.loop.pausedUntil <= node.world.queue.now
      if (listens && messages.every((message) => message.isSeen(index))) {
        node.bytesOut += bytes
        to.bytesIn += bytes
        to.loop.charge(cost.receive)
        continue
      }
      connection.send(node, bytes, cost.receive, () => {
        const wanted = messages.filter((message) => !message.isSeen(to.index))
        if (wanted.length === 0) return
        const asked = size.control + wanted.length * size.id
        connection.send(to, asked, cost.receive, () => {
          for (const message of wanted) {
            connection.answer(node, message.size + size.gossip, cost.receive, message)
          }
        })
      })
    }
  }
}
