/**
 * A mesh of membership behaviours on a virtual clock: real decisions, imagined network. Messages
 * take time and get lost, nodes crash, stall and are cut off from each other.
 */
import { isAstray } from "../../src/mesh/membership/Incarnation.ts"
import { membershipBehaviour } from "../../src/mesh/membership/MembershipBehaviour.ts"
import type {
  MembershipAction,
  MembershipMessage
} from "../../src/mesh/membership/MembershipMessages.ts"
import { defaultMembershipOptions } from "../../src/mesh/membership/MembershipOptions.ts"
import {
  type MembershipState,
  makeMembershipState
} from "../../src/mesh/membership/MembershipState.ts"
import { evidenceOf, type MemberState, memberOf } from "../../src/mesh/membership/MemberTable.ts"
import type { Statement } from "../../src/mesh/membership/Statement.ts"
import { NodeName, PeerKey } from "../../src/model/Names.ts"
import { EventQueue, seededRandom } from "../../src/testing/simulator/EventQueue.ts"
import { SharedRings } from "../../src/testing/simulator/SharedRings.ts"

const options = defaultMembershipOptions

/** Wall clock of the mesh at virtual time 0. */
const wallStart = 1_800_000_000_000

export interface Network {
  /** Share of messages that get lost. */
  loss: number
  /** Milliseconds one way, at least and at most. */
  latency: readonly [number, number]
  /** Can a message pass now? */
  reaches: (from: number, to: number) => boolean
}

interface Node {
  readonly index: number
  readonly peer: PeerKey
  state: MembershipState
  epoch: number
  up: boolean
  /** Raised by each start, so that what an earlier life began does not reach the next. */
  life: number
  /** Its event loop does nothing until then. */
  stalledUntil: number
  /** It answers no pings, and hears and says everything else. */
  mute: boolean
  /** What it told everybody, so far. */
  said: number
  /** Milliseconds that its wall clock is ahead. */
  skew: number
  /** The epoch of its record as the others hold it: one far ahead of their clocks they refuse. */
  told: number
}

const letters = "ABCDEFGHJKLMNPQRSTUVWXYZ"

export const peerOf = (index: number): PeerKey =>
  PeerKey.make(
    `12D3KooWSimu1ation${[...index.toString().padStart(6, "0")].map((digit) => letters[Number(digit)]).join("")}`
  )

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** Stands in for signing: the speaker is written into the bytes. */
const sealAs = (by: PeerKey) => (statement: object) =>
  encoder.encode(JSON.stringify({ ...statement, by }))

const open = (bytes: Uint8Array): Statement => {
  // Written by `sealAs` in this process.
  const said = JSON.parse(decoder.decode(bytes)) as Statement & { readonly by: PeerKey }
  return said.kind === "alive" ? { ...said, subject: said.by } : said
}

export class MembershipMesh {
  readonly queue = new EventQueue()
  readonly nodes: ReadonlyArray<Node>
  readonly random: () => number
  readonly network: Network = { loss: 0, latency: [0.5, 5], reaches: () => true }
  /** Every change of mind: who, about whom, to what. */
  readonly onChange: Array<(by: number, about: number, state: MemberState) => void> = []
  readonly #nobody = new SharedRings().empty
  readonly #steps: ReadonlyArray<ReturnType<typeof membershipBehaviour>>
  readonly #indexes: ReadonlyMap<PeerKey, number>

  /** `started`: how many are up from the beginning, and know each other's records. */
  constructor(size: number, seed: number, started = size) {
    this.random = seededRandom(seed)
    this.nodes = Array.from({ length: size }, (_, index) => ({
      index,
      peer: peerOf(index),
      state: makeMembershipState(peerOf(index), this.#nobody),
      epoch: wallStart,
      up: index < started,
      life: 0,
      stalledUntil: 0,
      mute: false,
      said: 0,
      skew: 0,
      told: wallStart
    }))
    this.#indexes = new Map(this.nodes.map(({ peer, index }) => [peer, index]))
    this.#steps = this.nodes.map(({ peer }) => membershipBehaviour(options, sealAs(peer)))
    for (const node of this.nodes) {
      if (!node.up) continue
      this.#tell(node, this.#records(node))
      this.#startTicks(node)
    }
  }

  crash(index: number): void {
    this.nodes[index]!.up = false
  }

  /** Starts (again), with a new epoch, which gossip tells everybody. */
  start(index: number): void {
    const node = this.nodes[index]!
    node.up = true
    node.life++
    node.state = makeMembershipState(node.peer, this.#nobody)
    this.#beginEpoch(node)
    this.#startTicks(node)
  }

  /** Sets a node's clock right, or wrong, while it runs. Its catalogue then begins a new epoch. */
  setClock(index: number, skew: number): void {
    const node = this.nodes[index]!
    node.skew = skew
    this.#beginEpoch(node)
  }

  #beginEpoch(node: Node): void {
    node.epoch = this.#wall(node)
    if (!isAstray(node.epoch, wallStart + this.queue.now)) node.told = node.epoch
    this.#tell(node, this.#records(node))
    for (const other of this.nodes) {
      if (other !== node && other.up) {
        this.queue.after(this.#latency(), () => this.#tell(other, this.#records(other)))
      }
    }
  }

  #wall(node: Node): number {
    return wallStart + this.queue.now + node.skew
  }

  stall(index: number, duration: number): void {
    this.nodes[index]!.stalledUntil = this.queue.now + duration
  }

  /** It answers no pings from now on, and hears and says everything else. */
  mute(index: number): void {
    this.nodes[index]!.mute = true
  }

  hint(index: number, kind: "LinkUp" | "LinkDown", about: number): void {
    this.#tell(this.nodes[index]!, { _tag: kind, peer: peerOf(about) })
  }

  /** A member with a will of its own tells another to its face that it stands accused. */
  accuseToItsFace(by: number, about: number, incarnation: number): void {
    const message = { _tag: "Accused", by: peerOf(by), incarnation, reply: () => {} } as const
    this.#tell(this.nodes[about]!, message)
  }

  /** Such a one accuses another before everybody. */
  accusePublicly(by: number, about: number, incarnation: number): void {
    const repeat = Math.floor(this.random() * 1e9)
    const said = { kind: "suspect", subject: peerOf(about), incarnation, repeat }
    this.#say(this.nodes[by]!, sealAs(peerOf(by))(said))
  }

  /** What `by` believes of `about`. */
  belief(by: number, about: number): MemberState | undefined {
    return memberOf(this.nodes[by]!.state, peerOf(about))?.state
  }

  /** Of all others that are up. */
  beliefs(about: number): ReadonlyArray<MemberState | undefined> {
    return this.nodes
      .filter(({ up, index }) => up && index !== about)
      .map(({ index }) => this.belief(index, about))
  }

  /** Everybody's own records, as this node's catalogue in sync would hold them. */
  #records(reader: Node): MembershipMessage {
    const started = this.nodes.filter(({ up, life }) => up || life > 0 || this.queue.now > 0)
    const known = started.length === 0 ? this.nodes : started
    return {
      _tag: "Records",
      records: known.map(({ peer, epoch, told, index }) => ({
        peer,
        epoch: index === reader.index ? epoch : told,
        name: NodeName.make(`node-${index}`),
        left: false
      }))
    }
  }

  #latency(): number {
    const [least, most] = this.network.latency
    return least + (most - least) * this.random()
  }

  #startTicks(node: Node): void {
    const life = node.life
    const tick = () => {
      if (!node.up || node.life !== life) return
      if (this.queue.now < node.stalledUntil) {
        this.queue.after(node.stalledUntil - this.queue.now, tick)
        return
      }
      this.#tell(node, { _tag: "Tick" })
      this.queue.after(options.tick, tick)
    }
    this.queue.after(this.random() * options.tick, tick)
  }

  #tell(node: Node, message: MembershipMessage): void {
    if (!node.up) return
    const before = node.state
    const [state, actions] = this.#steps[node.index]!(node.state, message, {
      now: this.queue.now,
      wall: this.#wall(node),
      random: this.random
    })
    node.state = state
    if (this.onChange.length > 0 && state.members !== before.members) this.#report(node, before)
    for (const action of actions) this.#perform(node, action)
  }

  #report(node: Node, before: MembershipState): void {
    for (const { peer, index } of this.nodes) {
      const is = memberOf(node.state, peer)?.state
      if (is === undefined || is === memberOf(before, peer)?.state) continue
      for (const listener of this.onChange) listener(node.index, index, is)
    }
  }

  /** One message: after its latency, unless it is lost, and when the receiver has time for it. */
  #send(from: Node, to: Node, deliver: () => void): void {
    if (this.random() < this.network.loss) return
    const life = to.life
    const arrive = () => {
      if (!to.up || to.life !== life || !this.network.reaches(from.index, to.index)) return
      const wait = to.stalledUntil - this.queue.now
      if (wait > 0) this.queue.after(wait, arrive)
      else deliver()
    }
    this.queue.after(this.#latency(), arrive)
  }

  /** Calls back once: with the answer, or with undefined after the timeout. */
  #ask<A>(
    from: Node,
    to: Node,
    timeout: number,
    question: (reply: (answer: A) => void) => void,
    done: (answer: A | undefined) => void
  ): void {
    let open = true
    const life = from.life
    const finish = (answer: A | undefined) => {
      if (!open || from.life !== life) return
      open = false
      done(answer)
    }
    this.#send(from, to, () => question((answer) => this.#send(to, from, () => finish(answer))))
    const expire = () => {
      const wait = from.stalledUntil - this.queue.now
      if (wait > 0) this.queue.after(wait, expire)
      else finish(undefined)
    }
    this.queue.after(timeout, expire)
  }

  #nodeOf(peer: PeerKey): Node {
    return this.nodes[this.#indexes.get(peer)!]!
  }

  #perform(node: Node, action: MembershipAction): void {
    switch (action._tag) {
      case "Reply":
        action.reply()
        return
      case "Say":
        this.#say(node, action.bytes)
        return
      case "PullEvidence": {
        const { about } = action
        const from = this.#nodeOf(action.from)
        this.#ask<ReadonlyArray<Uint8Array>>(
          node,
          from,
          5_000,
          (reply) => reply(evidenceOf(from.state, about)),
          (answer) => {
            if (answer === undefined) this.#tell(node, { _tag: "NoEvidence", about })
            for (const bytes of answer ?? []) this.#hear(node, bytes)
          }
        )
        return
      }
      case "Ping":
        this.#ping(node, action)
        return
      case "AskHelpers":
        this.#askHelpers(node, action)
    }
  }

  #say(node: Node, bytes: Uint8Array): void {
    node.said++
    for (const other of this.nodes) {
      if (other === node) continue
      const hops = 1 + Math.floor(this.random() * 3)
      const delay = hops * this.network.latency[1] * this.random()
      const heard = () => this.#hear(other, bytes)
      this.queue.after(delay, () => this.#send(node, other, heard))
    }
  }

  /** As at the door: what is far ahead of the reader's clock does not get in. */
  #hear(node: Node, bytes: Uint8Array): void {
    const statement = open(bytes)
    if (isAstray(statement.incarnation, this.#wall(node))) return
    this.#tell(node, { _tag: "Heard", statement, bytes })
  }

  #ping(node: Node, action: Extract<MembershipAction, { readonly _tag: "Ping" }>): void {
    const { peer, probe, timeout, accused } = action
    const to = this.#nodeOf(peer)
    this.#ask<{ readonly incarnation: number; readonly alive: Uint8Array | undefined }>(
      node,
      to,
      timeout,
      (reply) => {
        if (to.mute) return
        if (accused === undefined) {
          this.#tell(to, { _tag: "Pinged", peer: node.peer })
          reply({ incarnation: to.state.incarnation, alive: undefined })
        } else this.#tell(to, { _tag: "Accused", by: node.peer, incarnation: accused, reply })
      },
      (answer) => {
        if (answer === undefined) return this.#tell(node, { _tag: "Unanswered", peer, probe })
        const { incarnation, alive } = answer
        const statement = alive && open(alive)
        const denial =
          statement === undefined || isAstray(statement.incarnation, this.#wall(node))
            ? undefined
            : { statement, bytes: alive ?? new Uint8Array() }
        this.#tell(node, { _tag: "Answered", peer, probe, incarnation, denial })
      }
    )
  }

  #askHelpers(node: Node, action: Extract<MembershipAction, { readonly _tag: "AskHelpers" }>) {
    const { peer, probe, helpers, timeout } = action
    const reachedBy: Array<PeerKey> = []
    const missedBy: Array<PeerKey> = []
    let open = helpers.length
    const subject = this.#nodeOf(peer)
    for (const helper of helpers.map((one) => this.#nodeOf(one))) {
      const question = (reply: (answer: boolean) => void) =>
        this.#ask<true>(
          helper,
          subject,
          options.timeout,
          (pong) => subject.mute || pong(true),
          (pong) => reply(pong === true)
        )
      this.#ask<boolean>(node, helper, timeout, question, (answer) => {
        if (answer === true) reachedBy.push(helper.peer)
        if (answer === false) missedBy.push(helper.peer)
        if (--open === 0) this.#tell(node, { _tag: "Helped", peer, probe, reachedBy, missedBy })
      })
    }
  }
}
