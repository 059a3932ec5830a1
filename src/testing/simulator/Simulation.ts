/**
 * A mesh on a virtual clock. The decisions are those of production, by the same code: membership, the
 * catalogue and its comparisons, who watches whom, the pauses and the rate of dials, the handshake gate. The
 * rest (network, processors, disks, gossip's overlay) is imagined after the real one.
 *
 * A seed and the calls that are made give the same run on every machine.
 */
import {
  defaultMembershipOptions,
  type MembershipOptions
} from "../../mesh/membership/MembershipOptions.ts"
import type { MemberState } from "../../mesh/membership/MemberTable.ts"
import { PeerKey } from "../../model/Names.ts"
import type { NodeRecord } from "../../model/NodeRecord.ts"
import { EventQueue, seededRandom } from "./EventQueue.ts"
import type { LinkOptions } from "./Links.ts"
import { catalogueTopic, Message, SeenMessages, type Topic } from "./Message.ts"
import { type Cut, Network, type NetworkOptions } from "./Network.ts"
import { Host } from "./Processor.ts"
import { defaultProfile, type Profile } from "./Profile.ts"
import { Records } from "./Records.ts"
import { settle } from "./SettledMesh.ts"
import { Sharing } from "./Sharing.ts"
import { SimulatedNode } from "./SimulatedNode.ts"
import { Statements } from "./Statements.ts"
import { revocation } from "./Trust.ts"
import type { MeshNode, World } from "./World.ts"

export interface SimulationOptions {
  readonly nodes: number
  readonly seed: number
  /** How many of them are a mesh at rest from the beginning; the others are to be started. Default: all. */
  readonly settled?: number
  /** Nodes that share a host, and the host's cores. Default: each has one of its own, with 2. */
  readonly nodesPerHost?: number
  readonly cores?: number
  /** The zone of a node by its index. Default: one for all. */
  readonly zoneOf?: (index: number) => string
  readonly network?: NetworkOptions
  /** Of a node by its index, so that two versions can stand side by side. Default: the mesh's own. */
  readonly membership?: (index: number) => MembershipOptions
  readonly links?: LinkOptions
  readonly profile?: Profile
  /** Records of the settled are of all ages up to six hours, and are renewed in the run. Default: all new. */
  readonly aged?: boolean
}

export type BeliefListener = (by: MeshNode, about: MeshNode, state: MemberState | undefined) => void
export type RecordListener = (by: MeshNode, record: NodeRecord) => void

/** How long gossip remembers what it has seen, ms. */
const seenFor = 120_000

/** What is on its way for longer, ms, is so because it waits; it may be counted twice. */
const onItsWayFor = 10_000

const letters = "ABCDEFGHJKLMNPQRSTUVWXYZ"

export const peerOf = (index: number): PeerKey =>
  PeerKey.make(
    `12D3KooWSimu1ation${Array.from(index.toString().padStart(6, "0"), (digit) => letters[Number(digit)]).join("")}`
  )

export class Simulation implements World {
  readonly queue = new EventQueue()
  readonly random: () => number
  readonly seed: number
  readonly network: Network
  readonly profile: Profile
  readonly nodes: ReadonlyArray<SimulatedNode>
  readonly hosts: ReadonlyArray<Host>
  readonly records: Records
  readonly statements: Statements
  readonly sharing = new Sharing()
  readonly wallStart = 1_800_000_000_000
  /** Told of every change of somebody's mind. */
  readonly beliefs = new Set<BeliefListener>()
  /** Told whenever a record is new to somebody. */
  readonly arrivals = new Set<RecordListener>()
  readonly zoneOf: (index: number) => string
  readonly #indexes: ReadonlyMap<PeerKey, number>
  #messages: Array<Message> = []

  constructor(options: SimulationOptions) {
    const { cores = 2, nodes: size, nodesPerHost = 1, seed, zoneOf = () => "zone" } = options
    this.seed = seed
    this.random = seededRandom(seed)
    this.profile = options.profile ?? defaultProfile
    this.zoneOf = zoneOf
    this.network = new Network(options.network ?? {}, zoneOf, this.random)
    const seen = new SeenMessages(size)
    const make = (topic: Topic, bytes: Uint8Array): Message => this.#message(topic, bytes, seen)
    this.statements = new Statements(make)
    this.records = new Records(this.profile.size.record, make)
    this.hosts = Array.from({ length: Math.ceil(size / nodesPerHost) }, () => new Host(cores))
    const { membership = () => defaultMembershipOptions, links = {} } = options
    this.nodes = Array.from(
      { length: size },
      (_, index) =>
        new SimulatedNode(this, {
          index,
          peer: peerOf(index),
          host: this.hosts[Math.floor(index / nodesPerHost)]!,
          membership: membership(index),
          links
        })
    )
    this.#indexes = new Map(this.nodes.map(({ index, peer }) => [peer, index]))
    settle(this, this.nodes.slice(0, options.settled ?? size), options)
  }

  get now(): number {
    return this.queue.now
  }

  get up(): ReadonlyArray<SimulatedNode> {
    return this.nodes.filter(({ up }) => up)
  }

  nodeOf = (peer: PeerKey): SimulatedNode => this.nodes[this.#indexes.get(peer)!]!

  node(index: number): SimulatedNode {
    const node = this.nodes[index]
    if (node === undefined) throw new Error(`there is no node ${index}`)
    return node
  }

  /** Lets so many milliseconds pass. */
  advance(duration: number): void {
    this.queue.advance(duration)
  }

  onBelief: BeliefListener = (by, about, state) => {
    for (const listener of this.beliefs) listener(by, about, state)
  }

  onRecord: RecordListener = (by, record) => {
    for (const listener of this.arrivals) listener(by, record)
  }

  /** Nothing passes from one to the other where it says so. Returns how to end it. */
  cut(cut: Cut): () => void {
    return this.network.cut(cut)
  }

  /** Nothing passes between nodes of different sides. Returns how to end it. */
  partition(sideOf: (index: number) => number): () => void {
    return this.cut((from, to) => sideOf(from) !== sideOf(to))
  }

  /** Sets the wall clock of one node; everything it says from then on is of that clock. */
  setClock(index: number, skew: number): void {
    const node = this.node(index)
    node.skew = skew
    if (!node.up) return
    node.catalogue.tell({ _tag: "Tick" })
    for (const one of this.up) {
      const again = (): void => {
        one.repeatRecords()
        one.later(60_000, again)
      }
      one.later(60_000 * this.random(), again)
    }
  }

  /** At one node it is said that another one is thrown out of the mesh. */
  revoke(index: number, by: number): void {
    const node = this.node(by)
    node.catalogue.set(this.records.sealSetting(revocation(node, peerOf(index))))
  }

  /** A process with the same key that runs elsewhere says something of it, at a version of its own choice. */
  forge(index: number, by: number, change: Partial<NodeRecord>): void {
    const { record } = this.node(index).catalogue.state.catalogue.node(peerOf(index))!
    const entry = this.records.seal({ ...record, signedAt: this.node(by).wall, ...change })
    this.node(by).catalogue.receive([entry.bytes])
  }

  /** What those that are up hold of one: each state, and how many. */
  statesOf(about: number): ReadonlyMap<MemberState | undefined, number> {
    const counts = new Map<MemberState | undefined, number>()
    for (const node of this.nodes) {
      if (!node.up || node.index === about) continue
      const state = node.belief(this.node(about))
      counts.set(state, (counts.get(state) ?? 0) + 1)
    }
    return counts
  }

  /** Different catalogues among those that are up; 1 when all agree. */
  opinions(): number {
    return new Set(this.up.map(({ catalogue }) => this.sharing.identity(catalogue.state.catalogue)))
      .size
  }

  /** Share of those that are up which hold the catalogue that most of them hold. */
  agreement(): number {
    const counts = new Map<number, number>()
    const { up } = this
    for (const { catalogue } of up) {
      const identity = this.sharing.identity(catalogue.state.catalogue)
      counts.set(identity, (counts.get(identity) ?? 0) + 1)
    }
    return up.length === 0 ? 1 : Math.max(...counts.values()) / up.length
  }

  /** Beliefs that are wrong now: of those that are up, and how many of those that are not are taken for alive. */
  errors(): { readonly suspected: number; readonly dead: number; readonly missed: number } {
    let suspected = 0
    let dead = 0
    let missed = 0
    const down = this.nodes.filter(({ up }) => !up)
    for (const node of this.nodes) {
      if (!node.up) continue
      const { dead: gone, ring, suspects } = node.membership.state
      for (const peer of suspects) if (this.nodeOf(peer).up) suspected++
      for (const peer of gone) if (this.nodeOf(peer).up) dead++
      for (const { peer } of down) if (ring.has(peer)) missed++
    }
    return { suspected, dead, missed }
  }

  /** Connections that are wanted and not there, of all that are up. */
  missingLinks(): number {
    let missing = 0
    for (const { links, up } of this.nodes) if (up) missing += links.missing
    return missing
  }

  /** Does everybody think everybody alive who is up, know the same, and have the connections it wants? */
  isWhole(): boolean {
    const size = this.#upCount()
    for (const { membership, up } of this.nodes) {
      if (!up) continue
      const { ring, suspects } = membership.state
      if (ring.size !== size || suspects.size > 0) return false
    }
    return this.opinions() === 1 && this.missingLinks() === 0
  }

  /** Bytes that went through all network cards, counted where they leave and where they come. */
  get bytes(): number {
    return this.nodes.reduce((sum, { bytesIn, bytesOut }) => sum + bytesIn + bytesOut, 0)
  }

  /** Milliseconds of processor time that all took. */
  get work(): number {
    return this.hosts.reduce((sum, { busy }) => sum + busy, 0)
  }

  get handshakes(): number {
    return this.nodes.reduce((sum, { links }) => sum + links.handshakes, 0)
  }

  /** The latest that anything waited for its node's loop, ms, since this was asked last. */
  lateness(): number {
    let worst = 0
    for (const { loop, up } of this.nodes) {
      if (!up) continue
      worst = Math.max(worst, loop.worst)
      loop.worst = 0
    }
    return worst
  }

  forgetSeen = (index: number): void => {
    this.#messages = this.#messages.filter(({ madeAt }) => madeAt > this.now - seenFor)
    for (const message of this.#messages) message.forget(index)
  }

  #upCount(): number {
    let count = 0
    for (const { up } of this.nodes) if (up) count++
    return count
  }

  #message(topic: Topic, bytes: Uint8Array, seen: SeenMessages): Message {
    const size = topic === catalogueTopic ? bytes.length : this.profile.size.statement
    const message = new Message(topic, bytes, size, this.now, seen)
    this.#messages.push(message)
    if (this.#messages.length % 1_024 === 0) {
      this.#messages = this.#messages.filter(({ madeAt }) => madeAt > this.now - seenFor)
      for (const message of this.#messages) {
        if (message.madeAt < this.now - onItsWayFor) message.settle()
      }
    }
    return message
  }
}
