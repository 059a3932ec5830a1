/** What nodes of one simulation share, and what the parts of a node know of each other and of other nodes. */

import type { CatalogueState } from "../../mesh/catalogue/CatalogueBehaviour.ts"
import type { EntryChange } from "../../mesh/catalogue/CatalogueChange.ts"
import type { NodeEntry, SettingEntry } from "../../mesh/catalogue/RecordEntry.ts"
import type { MembershipMessage, PingAnswer } from "../../mesh/membership/MembershipMessages.ts"
import type { MembershipState } from "../../mesh/membership/MembershipState.ts"
import type { MemberState } from "../../mesh/membership/MemberTable.ts"
import type { PeerKey } from "../../model/Names.ts"
import type { NodeRecord } from "../../model/NodeRecord.ts"
import type { EventQueue } from "./EventQueue.ts"
import type { Message, Topic } from "./Message.ts"
import type { Network } from "./Network.ts"
import type { Loop } from "./Processor.ts"
import type { Profile } from "./Profile.ts"
import type { Records } from "./Records.ts"
import type { Sharing } from "./Sharing.ts"
import type { Statements } from "./Statements.ts"

export interface World {
  readonly queue: EventQueue
  /** Uniform in [0, 1). */
  readonly random: () => number
  readonly network: Network
  readonly profile: Profile
  readonly nodes: ReadonlyArray<MeshNode>
  readonly records: Records
  readonly statements: Statements
  readonly sharing: Sharing
  /** Wall clock at virtual time 0, ms. */
  readonly wallStart: number
  readonly nodeOf: (peer: PeerKey) => MeshNode
  /** A new process has seen no message yet. */
  readonly forgetSeen: (index: number) => void
  readonly onBelief: (by: MeshNode, about: MeshNode, state: MemberState | undefined) => void
  readonly onRecord: (by: MeshNode, record: NodeRecord) => void
}

/** A connection as its two ends have it. */
export interface Wire {
  /** Who dialled, and who answered. */
  readonly ends: readonly [MeshNode, MeshNode]
  open: boolean
  /** An end went without a word; the other one does not know. */
  severed: boolean
  /** Questions under way: they fail when it closes. */
  readonly pending: Set<() => void>
  /** Does it lead to a process that there is no more? */
  readonly isStale: boolean
  readonly other: (node: MeshNode) => MeshNode
  readonly send: (from: MeshNode, size: number, cost: number, task: () => void) => void
  /** A message of gossip, of which other copies may be on their way to the same node. */
  readonly pass: (from: MeshNode, size: number, cost: number, message: Message) => void
  /** One that was asked for: it is sent by each who was asked. */
  readonly answer: (from: MeshNode, size: number, cost: number, message: Message) => void
  readonly close: (by?: MeshNode) => void
}

/** The connection, or undefined and when to try again, ms. */
export type Dialled = (wire: Wire | undefined, retryAfter?: number) => void

export interface NodeLinks {
  readonly open: ReadonlyMap<number, Wire>
  /** Handshakes that this node began as dialler, and those that came to nothing. */
  handshakes: number
  wasted: number
  readonly wanted: number
  readonly missing: number
  readonly connect: (peer: MeshNode, done: (wire: Wire | undefined) => void) => void
  /** Somebody calls. `isOver`: it has hung up; what is returned is called then. */
  readonly answer: (caller: MeshNode, isOver: () => boolean, done: Dialled) => () => void
  readonly opened: (wire: Wire) => void
  readonly closed: (wire: Wire) => void
  readonly drop: (peer: MeshNode) => void
  readonly place: (wire: Wire, wanted: boolean) => void
}

export interface NodeGossip {
  readonly neighbours: (topic: Topic) => ReadonlySet<number>
  readonly publish: (message: Message) => void
  readonly receive: (message: Message, from: number) => void
  readonly grafted: (topic: Topic, from: number) => void
  readonly pruned: (topic: Topic, from: number) => void
  readonly place: (topic: Topic, index: number) => void
}

export interface NodeMembership {
  readonly state: MembershipState
  readonly tell: (message: MembershipMessage) => void
  readonly answer: (
    from: PeerKey,
    accused: number | undefined,
    reply: (answer: PingAnswer) => void
  ) => void
  /** Can this node reach that one? Undefined: it cannot say. */
  readonly reach: (peer: PeerKey, done: (reached: boolean | undefined) => void) => void
}

export interface NodeCatalogue {
  readonly state: CatalogueState
  readonly receive: (envelopes: ReadonlyArray<Uint8Array>) => number
  readonly rejudge: (held: NodeEntry) => void
}

export interface NodeTrust {
  readonly isOut: (peer: PeerKey) => boolean
  readonly records: () => ReadonlyArray<Uint8Array>
  readonly follow: (settings: Iterable<SettingEntry>) => void
}

export interface MeshNode {
  readonly index: number
  readonly peer: PeerKey
  readonly world: World
  readonly up: boolean
  readonly dark: boolean
  readonly life: number
  readonly phase: number
  readonly wall: number
  readonly skew: number
  bytesIn: number
  bytesOut: number
  readonly loop: Loop
  readonly links: NodeLinks
  readonly gossip: NodeGossip
  readonly membership: NodeMembership
  readonly catalogue: NodeCatalogue
  readonly trust: NodeTrust
  readonly later: (delay: number, run: () => void) => void
  readonly ask: <A>(
    to: MeshNode,
    patience: number,
    size: number,
    question: (it: MeshNode, reply: (answer: A, size: number) => void) => void,
    done: (answer: A | undefined) => void,
    late?: (answer: A) => void
  ) => void
  readonly judge: (message: Message) => "accept" | "ignore"
  readonly hasMet: (peer: MeshNode) => boolean
  readonly linkUp: (peer: MeshNode) => void
  readonly linkDown: (peer: MeshNode) => void
  readonly recordsChanged: (changes: ReadonlyArray<EntryChange>) => void
  readonly believes: (peer: PeerKey) => void
  readonly follow: () => void
}
