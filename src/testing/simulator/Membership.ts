/**
 * One node's membership: the behaviour that runs in every node, with the questions that its shell puts
 * and answers (MembershipService.ts) over the imagined network.
 */
import { scaled } from "../../mesh/membership/Awareness.ts"
import { evidenceAnswer } from "../../mesh/membership/EvidenceAnswer.ts"
import { isAstray } from "../../mesh/membership/Incarnation.ts"
import { membershipBehaviour } from "../../mesh/membership/MembershipBehaviour.ts"
import type {
  MembershipAction,
  MembershipMessage,
  PingAnswer,
  Said
} from "../../mesh/membership/MembershipMessages.ts"
import type { MembershipOptions } from "../../mesh/membership/MembershipOptions.ts"
import { type MembershipState, nextDue } from "../../mesh/membership/MembershipState.ts"
import { evidenceOf, memberOf } from "../../mesh/membership/MemberTable.ts"
import { isNews, isUnknown } from "../../mesh/membership/News.ts"
import type { Statement } from "../../mesh/membership/Statement.ts"
import type { PeerKey } from "../../model/Names.ts"
import type { MeshNode, NodeMembership } from "./World.ts"

/** For others' evidence, ms: as long as the mesh's RPC waits. */
const evidencePatience = 5_000

/** Probes for others at the same time. */
const maxProbesForOthers = 32

export class Membership implements NodeMembership {
  state: MembershipState
  readonly options: MembershipOptions
  readonly #node: MeshNode
  readonly #step: ReturnType<typeof membershipBehaviour>
  #forOthers = 0
  #tickAt = Number.POSITIVE_INFINITY
  #tickNumber = 0
  #ranAt = Number.NEGATIVE_INFINITY

  constructor(node: MeshNode, options: MembershipOptions, state: MembershipState) {
    this.#node = node
    this.options = options
    this.state = state
    this.#step = membershipBehaviour(options, (said) => {
      node.loop.charge(node.world.profile.cost.sign)
      return node.world.statements.seal(node.peer, said)
    })
    node.loop.onLate = () => this.#wakeAt(node.world.queue.now)
  }

  begin(): void {
    this.#wakeAt(this.#node.world.queue.now)
  }

  tell(message: MembershipMessage): void {
    const { queue, random } = this.#node.world
    const before = this.state
    const moment = { now: queue.now, wall: this.#node.wall, random }
    const [state, actions] = this.#step(before, message, moment)
    this.state = state
    for (let at = state.moved; at !== undefined; at = at.rest) this.#node.believes(at.peer)
    for (const action of actions) this.#perform(action)
    if (state.ring !== before.ring) this.#node.follow()
    const due = nextDue(this.state)
    if (this.#isAwakeFor(due)) this.#wakeAtTick(queue.now)
    else this.#wakeAt(due)
  }

  /** As gossip asks the door and the snapshot. */
  judge(bytes: Uint8Array): "accept" | "ignore" {
    const { queue } = this.#node.world
    const said = this.#admit(bytes)
    if (said === undefined) return "ignore"
    if (said.subject !== this.#node.peer) {
      // It is news where it changes what is believed, which the behaviour finds out itself.
      const { members } = this.state
      this.tell({ _tag: "Heard", statement: said, bytes })
      return this.state.members === members ? "ignore" : "accept"
    }
    const unknown = isUnknown(this.state, said, queue.now)
    if (!unknown && !isNews(this.state, said, bytes, this.options, this.#moment)) return "ignore"
    this.tell({ _tag: "Heard", statement: said, bytes })
    return unknown ? "ignore" : "accept"
  }

  get #moment() {
    return { now: this.#node.world.queue.now, wall: this.#node.wall }
  }

  #admit(bytes: Uint8Array): Statement | undefined {
    const said = this.#node.world.statements.open(bytes)
    if (this.#node.trust.isOut(said.kind === "suspect" ? said.by : said.subject)) return undefined
    return isAstray(said.incarnation, this.#node.wall) ? undefined : said
  }

  /** As DueTicking: what is due soon is done while the node is awake, once between two of its ticks. */
  #isAwakeFor(due: number): boolean {
    const { now } = this.#node.world.queue
    return (
      due - this.options.early <= now && this.#tickAt > now && now > this.#tickFrom(this.#ranAt + 1)
    )
  }

  #tickFrom(time: number): number {
    const { tick } = this.options
    const phase = this.#node.phase * tick
    return phase + tick * Math.ceil((time - phase) / tick)
  }

  #wakeAt(due: number): void {
    const { queue } = this.#node.world
    const at = this.#tickFrom(Math.max(due, queue.now, this.#ranAt + 1))
    // Apart, so that nothing is made for a closure where there is none: this is asked after every message.
    if (at < this.#tickAt) this.#wakeAtTick(at)
  }

  #wakeAtTick(at: number): void {
    const { queue } = this.#node.world
    this.#tickAt = at
    const number = ++this.#tickNumber
    const { life, loop } = this.#node
    queue.at(at, () => {
      if (number !== this.#tickNumber || this.#node.life !== life || !this.#node.up) return
      loop.run(this.#node.world.profile.cost.tick, () => this.#tick(at))
    })
  }

  #tick(at: number): void {
    this.#tickAt = Number.POSITIVE_INFINITY
    this.#ranAt = this.#node.world.queue.now
    // Those that were left out came in time: the loop would have said so.
    this.tell({ _tag: "Tick", dueAt: at })
  }

  #perform(action: MembershipAction): void {
    const node = this.#node
    switch (action._tag) {
      case "Reply":
        action.reply()
        return
      case "Say":
        node.gossip.publish(node.world.statements.message(action.bytes))
        return
      case "PullEvidence":
        this.#pull(action)
        return
      case "Ping":
        this.#ping(action)
        return
      case "AskHelpers":
        this.#askHelpers(action)
        return
      case "GiveUp":
        node.links.drop(node.world.nodeOf(action.peer))
        return
    }
  }

  #pull({ about, from: peer }: Extract<MembershipAction, { readonly _tag: "PullEvidence" }>): void {
    const node = this.#node
    const { profile, random, statements } = node.world
    node.ask<ReadonlyArray<Uint8Array>>(
      node.world.nodeOf(peer),
      evidencePatience,
      profile.size.ping + about.length * profile.size.peer,
      (it, reply) => {
        const all = evidenceOf(it.membership.state, about)
        const from = about.length > 0 || all.length < 2 ? 0 : Math.floor(random() * all.length)
        const some = evidenceAnswer(all, from)
        reply(some, profile.size.answer + some.length * profile.size.statement)
      },
      (answer) => {
        if (answer === undefined) return this.tell({ _tag: "NoEvidence", about })
        const said: Array<Said> = []
        for (const bytes of answer) {
          const statement = this.#admit(bytes)
          if (!statements.message(bytes).isSeen(node.index)) node.loop.charge(profile.cost.verify)
          if (statement !== undefined) said.push({ statement, bytes })
        }
        if (said.length > 0) this.tell({ _tag: "Evidence", said })
      }
    )
  }

  /** The answer to a ping, as the shell gives it: without a detour where nothing is said against us. */
  answer(from: PeerKey, accused: number | undefined, reply: (answer: PingAnswer) => void): void {
    if (accused === undefined) {
      this.tell({ _tag: "Pinged", peer: from })
      reply({ incarnation: this.state.incarnation, alive: undefined })
      return
    }
    const { denial, incarnation } = this.state
    if (accused < incarnation && denial !== undefined) {
      reply({ incarnation, alive: denial })
      return
    }
    this.tell({ _tag: "Accused", by: from, incarnation: accused, reply })
  }

  #ping(action: Extract<MembershipAction, { readonly _tag: "Ping" }>): void {
    const node = this.#node
    const { accused, peer, probe, timeout } = action
    const { size } = node.world.profile
    const answered = ({ alive, incarnation }: PingAnswer): void => {
      const statement = alive === undefined ? undefined : this.#admit(alive)
      const denial =
        alive === undefined || statement?.kind !== "alive" ? undefined : { statement, bytes: alive }
      this.tell({ _tag: "Answered", peer, probe, incarnation, denial })
    }
    node.ask<PingAnswer>(
      node.world.nodeOf(peer),
      timeout,
      size.ping,
      (it, reply) =>
        it.membership.answer(node.peer, accused, (answer) =>
          reply(answer, size.answer + (answer.alive === undefined ? 0 : size.statement))
        ),
      (answer) => {
        if (answer === undefined) this.tell({ _tag: "Unanswered", peer, probe })
        else answered(answer)
      },
      answered
    )
  }

  /** Can this node reach that one? */
  reach(peer: PeerKey, done: (reached: boolean | undefined) => void): void {
    const node = this.#node
    if (peer === node.peer) {
      done(true)
      return
    }
    if (this.#forOthers >= maxProbesForOthers || memberOf(this.state, peer) === undefined) {
      done(undefined)
      return
    }
    this.#forOthers++
    const { size } = node.world.profile
    node.ask<PingAnswer>(
      node.world.nodeOf(peer),
      scaled(this.state.awareness, this.options.helperTimeout),
      size.ping,
      (it, reply) =>
        it.membership.answer(node.peer, undefined, (answer) => reply(answer, size.answer)),
      (answer) => {
        this.#forOthers--
        done(answer !== undefined)
      }
    )
  }

  #askHelpers(action: Extract<MembershipAction, { readonly _tag: "AskHelpers" }>): void {
    const { helpers, peer, probe, timeout } = action
    const node = this.#node
    const { size } = node.world.profile
    const reachedBy: Array<PeerKey> = []
    const missedBy: Array<PeerKey> = []
    let open = helpers.length
    for (const helper of helpers) {
      node.ask<boolean | undefined>(
        node.world.nodeOf(helper),
        timeout,
        size.ping,
        (it, reply) => it.membership.reach(peer, (found) => reply(found, size.answer)),
        (answer) => {
          if (answer === true) reachedBy.push(helper)
          if (answer === false) missedBy.push(helper)
          if (--open === 0) this.tell({ _tag: "Helped", peer, probe, reachedBy, missedBy })
        }
      )
    }
  }

  /** Those that count for whom to connect to, in a mesh small enough to connect to all. */
  get present(): ReadonlyArray<PeerKey> {
    return this.state.members.values().flatMap(({ peer, state }) => (state === "left" ? [] : peer))
  }
}
