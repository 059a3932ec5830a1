/**
 * A node of the simulated mesh: behaviours of production on a virtual clock, with an imagined network,
 * disk and processor around them.
 */
import { Catalogue } from "../../mesh/catalogue/Catalogue.ts"
import { makeCatalogueState } from "../../mesh/catalogue/CatalogueBehaviour.ts"
import type { EntryChange } from "../../mesh/catalogue/CatalogueChange.ts"
import { makeOwnRecord, nextEpoch, type OwnFacts } from "../../mesh/catalogue/OwnRecord.ts"
import { dialPatience } from "../../mesh/host/FirstDial.ts"
import type { MemberRecord } from "../../mesh/membership/MemberRecords.ts"
import type { MembershipOptions } from "../../mesh/membership/MembershipOptions.ts"
import { makeMembershipState } from "../../mesh/membership/MembershipState.ts"
import { type MemberState, memberOf } from "../../mesh/membership/MemberTable.ts"
import { observersPerNode } from "../../mesh/membership/ObserverRing.ts"
import { NodeName, type PeerKey } from "../../model/Names.ts"
import type { NodeRecord } from "../../model/NodeRecord.ts"
import { CatalogueKeeper, type Disk } from "./CatalogueKeeper.ts"
import { Gossip } from "./Gossip.ts"
import { pingLinks } from "./LinkPings.ts"
import { type LinkOptions, Links } from "./Links.ts"
import { Membership } from "./Membership.ts"
import { catalogueTopic, type Message } from "./Message.ts"
import { kernelPatience } from "./Network.ts"
import { type Host, Loop } from "./Processor.ts"
import { Trust } from "./Trust.ts"
import type { MeshNode, World } from "./World.ts"

export interface NodeSetup {
  readonly index: number
  readonly peer: PeerKey
  readonly host: Host
  readonly membership: MembershipOptions
  readonly links: LinkOptions
}

const memberRecord = ({ epoch, name, peer, state }: NodeRecord): MemberRecord => ({
  peer,
  name,
  epoch,
  left: state === "left"
})

export class SimulatedNode implements MeshNode {
  readonly index: number
  readonly peer: PeerKey
  readonly host: Host
  readonly world: World
  readonly disk: Disk = { epoch: undefined, catalogue: Catalogue.empty }
  /** Where its timers begin, as a share of their interval. */
  readonly phase: number
  up = false
  /** Its host is off: nobody answers for it, not even to say that it is gone. */
  dark = false
  /** Raised by each start and end, so that what an earlier life began does not reach the next. */
  life = 0
  /** Milliseconds that its wall clock is ahead. */
  skew = 0
  bytesIn = 0
  bytesOut = 0
  startedAt = 0
  loop: Loop
  links: Links
  gossip: Gossip
  membership: Membership
  catalogue: CatalogueKeeper
  trust: Trust
  readonly #setup: NodeSetup
  readonly #met = new Set<number>()

  constructor(world: World, setup: NodeSetup) {
    this.world = world
    this.#setup = setup
    this.index = setup.index
    this.peer = setup.peer
    this.host = setup.host
    this.phase = world.random()
    this.loop = new Loop(setup.host, world.queue)
    this.links = new Links(this, setup.links)
    this.gossip = new Gossip(this)
    this.membership = this.#makeMembership()
    this.catalogue = this.#makeCatalogue(0)
    this.trust = new Trust(this)
  }

  get wall(): number {
    return this.world.wallStart + this.world.queue.now + this.skew
  }

  facts(content: number): OwnFacts {
    return {
      name: NodeName.make(`node-${this.index}`),
      software: `${content}`,
      addresses: [],
      services: [],
      state: "serving"
    }
  }

  #makeMembership(): Membership {
    const state = makeMembershipState(this.peer, this.world.sharing.rings.empty)
    return new Membership(this, this.#setup.membership, state)
  }

  #makeCatalogue(epoch: number): CatalogueKeeper {
    const own = makeOwnRecord(this.facts(0), epoch)
    return new CatalogueKeeper(this, this.disk, makeCatalogueState(this.disk.catalogue, own))
  }

  /**
   * Starts the process, which takes its time. `inviter`: whose token it joins with, when its disk knows
   * nobody; tried until somebody is known.
   */
  start(inviter?: MeshNode): void {
    if (this.up) return
    const { profile, queue } = this.world
    this.life++
    this.up = true
    this.dark = false
    this.startedAt = queue.now
    this.loop = new Loop(this.host, queue)
    this.host.idle += profile.idle
    this.links = new Links(this, this.#setup.links)
    this.gossip = new Gossip(this)
    this.#wanted = new Set()
    this.world.forgetSeen(this.index)
    const epoch = nextEpoch(this.disk.epoch, this.wall)
    this.disk.epoch = epoch
    this.membership = this.#makeMembership()
    this.catalogue = this.#makeCatalogue(epoch)
    this.trust = new Trust(this)
    const known = this.disk.catalogue.size
    // In parts: a start shares the processor with what runs beside it.
    const parts = 20
    const part = (left: number): void => {
      const cost = (profile.cost.boot + known * profile.cost.record) / parts
      this.loop.run(cost, () => {
        if (left > 0) this.later(0, () => part(left - 1))
        else this.#begin(inviter)
      })
    }
    part(parts - 1)
  }

  #begin(inviter: MeshNode | undefined): void {
    // What the disk holds of trust is known before anybody is met.
    this.trust.follow(this.disk.catalogue.settings())
    this.begin()
    this.recordsChanged(this.disk.catalogue.changesSince(Catalogue.empty))
    this.catalogue.change(this.facts(0))
    if (inviter !== undefined) this.#join(inviter)
  }

  #join(inviter: MeshNode): void {
    this.links.connect(inviter, (connection) => {
      if (connection !== undefined || !this.up) return
      this.later(1_000 * (0.5 + this.world.random()), () => this.#join(inviter))
    })
  }

  /** What it does by the clock begins. */
  begin(): void {
    this.membership.begin()
    this.catalogue.begin()
    const { dropSilentAfter } = this.#setup.links
    if (dropSilentAfter !== undefined) pingLinks(this, dropSilentAfter)
  }

  /** Takes a place in a mesh that has long been running. */
  settle(): void {
    this.life++
    this.up = true
    this.host.idle += this.world.profile.idle
  }

  /** SIGKILL: what was not on disk is gone, and the kernel says so to those it was connected to. */
  crash(): void {
    if (!this.up) return
    const connections = Array.from(this.links.open.values())
    this.#end()
    for (const connection of connections) connection.close(this)
  }

  /** The host loses power: nobody says anything. */
  vanish(): void {
    if (!this.up) return
    const connections = Array.from(this.links.open.values())
    this.dark = true
    this.#end()
    for (const connection of connections) {
      connection.severed = true
      this.world.queue.after(kernelPatience, () => connection.close())
    }
  }

  #end(): void {
    this.up = false
    this.life++
    this.loop.ended = true
    this.host.idle -= this.world.profile.idle
  }

  /** SIGSTOP, and SIGCONT after so many ms. */
  pause(duration: number): void {
    this.loop.pausedUntil = Math.max(this.loop.pausedUntil, this.world.queue.now + duration)
    this.loop.onLate?.()
  }

  /** Says of itself that it leaves, and ends when the others had time to hear it. */
  leave(): void {
    this.catalogue.change({ state: "left" })
    this.later(1_000, () => this.crash())
  }

  /** Runs it on this node's loop, unless this life is over by then. `delay` in milliseconds. */
  later(delay: number, run: () => void): void {
    const { life } = this
    this.world.queue.after(delay, () => {
      if (this.life !== life || !this.up) return
      this.loop.run(0, run)
    })
  }

  /**
   * A question over the connection that there is, or a new one. `done` is called once: with the answer,
   * or with undefined after `patience` ms or as soon as it is known that there will be none. `late`: with an
   * answer that comes after that.
   */
  ask<A>(
    to: MeshNode,
    patience: number,
    size: number,
    question: (it: MeshNode, reply: (answer: A, size: number) => void) => void,
    done: (answer: A | undefined) => void,
    late?: (answer: A) => void
  ): void {
    const { cost } = this.world.profile
    let open = true
    let forget = (): void => {}
    const finish = (answer: A | undefined): void => {
      if (!open) return
      open = false
      forget()
      done(answer)
    }
    const fail = (): void => finish(undefined)
    this.loop.charge(cost.ask)
    this.later(patience, fail)
    this.links.connect(to, (connection) => {
      if (connection === undefined) return fail()
      if (!open) return
      connection.pending.add(fail)
      forget = () => void connection.pending.delete(fail)
      connection.send(this, size, cost.receive, () =>
        question(to, (answer, length) => {
          connection.send(to, length, cost.receive, () => (open ? finish(answer) : late?.(answer)))
        })
      )
    })
  }

  judge(message: Message): "accept" | "ignore" {
    return message.topic === catalogueTopic
      ? this.catalogue.judge(message.bytes)
      : this.membership.judge(message.bytes)
  }

  linkUp(peer: MeshNode): void {
    this.#met.add(peer.index)
    this.gossip.connected()
    this.membership.tell({ _tag: "LinkUp", peer: peer.peer })
    this.catalogue.compareWith(peer)
  }

  linkDown(peer: MeshNode): void {
    this.gossip.lost(peer.index)
    this.membership.tell({ _tag: "LinkDown", peer: peer.peer })
  }

  /** Did it ever let that one in? */
  hasMet(peer: MeshNode): boolean {
    return this.#met.has(peer.index)
  }

  met(peer: MeshNode): void {
    this.#met.add(peer.index)
  }

  recordsChanged(changes: ReadonlyArray<EntryChange>): void {
    const records: Array<MemberRecord> = []
    const gone: Array<PeerKey> = []
    for (const { after, before } of changes) {
      if (after === undefined) {
        if (before !== undefined) gone.push(before.record.peer)
        continue
      }
      const is = after.record
      const was = before?.record
      const same = was?.epoch === is.epoch && was.name === is.name
      if (!same || (was.state === "left") !== (is.state === "left")) records.push(memberRecord(is))
      this.world.onRecord(this, is)
    }
    if (records.length > 0 || gone.length > 0) {
      this.membership.tell({ _tag: "RecordsChanged", records, gone })
    }
  }

  /** Everything that the catalogue says of members, once more: for what only a clock that was set changes. */
  repeatRecords(): void {
    const records = Array.from(this.catalogue.state.catalogue.entries(), ({ record }) =>
      memberRecord(record)
    )
    this.membership.tell({ _tag: "Records", records })
  }

  /** What it now thinks of somebody. */
  believes(peer: PeerKey): void {
    const about = this.world.nodeOf(peer)
    const state = this.belief(about)
    if (state === "alive") this.links.wake(about)
    this.world.onBelief(this, about, state)
  }

  belief(about: MeshNode): MemberState | undefined {
    return memberOf(this.membership.state, about.peer)?.state
  }

  /** Keeps connections to those it observes, as LinkKeeper has it. */
  follow(): void {
    const { membership, world } = this
    const { members, ring } = membership.state
    const small = this.#setup.links.toAll || members.size <= observersPerNode + 1
    const peers = small ? membership.present : ring.subjectsOf(this.peer)
    const wanted = new Set<MeshNode>()
    for (const peer of peers) if (peer !== this.peer) wanted.add(world.nodeOf(peer))
    for (const node of this.#wanted) if (!wanted.has(node)) this.links.unwant(node)
    for (const node of wanted) {
      if (this.#wanted.has(node)) continue
      const startedAt = this.catalogue.state.catalogue.node(node.peer)?.record.epoch
      this.links.want(node, dialPatience(startedAt, this.wall, world.random()))
    }
    this.#wanted = wanted
  }

  /** What was put in place by hand. */
  set following(nodes: ReadonlySet<MeshNode>) {
    this.#wanted = nodes
  }

  #wanted: ReadonlySet<MeshNode> = new Set()
}
