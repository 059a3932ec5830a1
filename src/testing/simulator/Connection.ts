/**
 * A connection of two nodes, as TCP keeps one: ordered both ways, patient with loss and cuts, broken
 * only when one end closes it, when a process ends (its kernel says so), or when a kernel gives up.
 */
import type { Message } from "./Message.ts"
import { nextRetry } from "./Network.ts"
import type { MeshNode, Wire } from "./World.ts"

interface Held {
  readonly size: number
  readonly cost: number
  readonly task: () => void
}

/** Messages that wait behind a cut, one way; what comes then is as good as lost: who asked has given up. */
const mostHeld = 512

/** One direction of it. What each message needs stands together: there are millions. */
class Way {
  readonly from: MeshNode
  readonly to: MeshNode
  /** Of `to`, when the connection was made. */
  readonly life: number
  /** When what was sent last is there, ms. */
  arrived = 0
  readonly held: Array<Held> = []
  cutSince = 0

  constructor(from: MeshNode, to: MeshNode) {
    this.from = from
    this.to = to
    this.life = to.life
  }
}

export class Connection implements Wire {
  /** Who dialled, and who answered. */
  readonly ends: readonly [MeshNode, MeshNode]
  readonly openedAt: number
  open = true
  /** An end went without a word (its host lost power); the other one does not know. */
  severed = false
  /** Questions under way: they fail when it closes. */
  readonly pending = new Set<() => void>()
  readonly #there: Way
  readonly #back: Way

  constructor(dialler: MeshNode, answerer: MeshNode, now: number) {
    this.ends = [dialler, answerer]
    this.#there = new Way(dialler, answerer)
    this.#back = new Way(answerer, dialler)
    this.openedAt = now
  }

  /** Does it lead to a process that there is no more? */
  get isStale(): boolean {
    const isOver = ({ life, to }: Way): boolean => to.life !== life
    return !this.open || this.severed || isOver(this.#there) || isOver(this.#back)
  }

  other(node: MeshNode): MeshNode {
    const { from, to } = this.#there
    return from === node ? to : from
  }

  /** Runs `task` at the other end when the message is there and its loop has time for it. */
  send(from: MeshNode, size: number, cost: number, task: () => void): void {
    if (!this.open) return
    const way = this.#wayOf(from)
    from.bytesOut += size
    if (this.#isHeld(way)) this.#hold(way, size, cost, task)
    else this.#carry(way, size, cost, task)
  }

  /**
   * Gossip, of which several copies come to each: four of five are nothing new there, and only what it costs to
   * receive them counts.
   */
  pass(from: MeshNode, size: number, cost: number, message: Message): void {
    if (!this.open) return
    const way = this.#wayOf(from)
    const { life, to } = way
    const listens = to.up && to.loop.pausedUntil <= from.world.queue.now
    if (!listens || this.#isHeld(way)) {
      this.send(from, size, cost, () => to.gossip.receive(message, from.index))
      return
    }
    from.bytesOut += size
    const arrival = this.#arrival(way)
    if (to.life === life && message.isKnownBy(to.index, arrival)) {
      to.bytesIn += size
      to.loop.charge(cost)
    } else this.#bring(way, size, cost, message, arrival)
  }

  answer(from: MeshNode, size: number, cost: number, message: Message): void {
    if (!this.open) return
    const way = this.#wayOf(from)
    from.bytesOut += size
    if (!this.#isHeld(way)) this.#bring(way, size, cost, message, this.#arrival(way))
    else this.#hold(way, size, cost, () => way.to.gossip.receive(message, from.index))
  }

  #wayOf(from: MeshNode): Way {
    return from === this.#there.from ? this.#there : this.#back
  }

  /** Does what is sent now wait behind a cut? */
  #isHeld({ from, held, to }: Way): boolean {
    return held.length > 0 || this.severed || from.world.network.isCut(from.index, to.index)
  }

  #hold(way: Way, size: number, cost: number, task: () => void): void {
    const { from, held } = way
    if (held.length < mostHeld) held.push({ size, cost, task })
    if (held.length > 1) return
    way.cutSince = from.world.queue.now
    this.#retry(way)
  }

  /** When what leaves now is there. */
  #arrival(way: Way): number {
    const { from, to } = way
    const { network, queue } = from.world
    const { now } = queue
    // What a loop says it says at the end of what it does.
    const leaves = Math.max(now, Math.min(from.loop.freeAt, now + 50))
    const arrival = Math.max(leaves + network.delay(from.index, to.index), way.arrived)
    way.arrived = arrival
    return arrival
  }

  #carry(way: Way, size: number, cost: number, task: () => void): void {
    const { to } = way
    way.from.world.queue.at(this.#arrival(way), () => {
      if (this.#comes(way, size)) to.loop.run(cost, task)
    })
  }

  #bring(way: Way, size: number, cost: number, message: Message, arrival: number): void {
    const { from, to } = way
    from.world.queue.at(arrival, () => {
      if (!this.#comes(way, size)) return
      // It may have come another way meanwhile.
      if (message.isSeen(to.index)) to.loop.pass(cost)
      else to.loop.run(cost, () => to.gossip.receive(message, from.index))
    })
  }

  /** Is there somebody for what is there now? */
  #comes({ life, to }: Way, size: number): boolean {
    if (!this.open || (!to.up && to.dark)) return false
    // The kernel of a host knows nothing of a connection of an earlier process.
    if (!to.up || to.life !== life) {
      this.close()
      return false
    }
    to.bytesIn += size
    return true
  }

  /** TCP tries again what a cut holds, with pauses that double. */
  #retry(way: Way): void {
    const { from, to } = way
    const { network, queue } = from.world
    queue.at(nextRetry(way.cutSince, queue.now), () => {
      if (!this.open) return
      if (network.isCut(from.index, to.index) || (this.severed && !to.up)) return this.#retry(way)
      if (this.severed) return this.close()
      for (const { size, cost, task } of way.held.splice(0)) this.#carry(way, size, cost, task)
    })
  }

  /** Both ends know at once. `by`: one end closes it, and the other hears of it a moment later. */
  close(by?: MeshNode): void {
    if (!this.open) return
    this.open = false
    for (const way of [this.#back, this.#there]) {
      const end = way.to
      if (!end.up || end.life !== way.life) continue
      if (by === undefined || end === by) end.links.closed(this)
      else this.#tellClosed(way)
    }
    for (const fail of Array.from(this.pending)) fail()
    this.pending.clear()
  }

  #tellClosed({ from: by, life, to: end }: Way): void {
    const { network, queue } = end.world
    const since = queue.now
    const tell = (): void => {
      if (!end.up || end.life !== life) return
      if (network.isCut(by.index, end.index)) {
        queue.at(nextRetry(since, queue.now), tell)
        return
      }
      end.loop.run(end.world.profile.cost.receive, () => end.links.closed(this))
    }
    queue.after(network.delay(by.index, end.index), tell)
  }
}
