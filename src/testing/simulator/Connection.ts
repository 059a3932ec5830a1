/**
 * A connection of two nodes, as TCP keeps one: ordered both ways, patient with loss and cuts, broken
 * only when one end closes it, when a process ends (its kernel says so), or when a kernel gives up.
 */
import { nextRetry } from "./Network.ts"
import type { Copied, MeshNode, Wire } from "./World.ts"

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

  /**
   * Runs `task` at the other end when the message is there and its loop has time for it. `copied`: where it is
   * nothing new by then it is not run, and only what it costs to receive it counts.
   */
  send(from: MeshNode, size: number, cost: number, task: () => void, copied?: Copied): void {
    if (!this.open) return
    const way = from === this.#there.from ? this.#there : this.#back
    from.bytesOut += size
    const { held, to } = way
    const { network, queue } = from.world
    if (held.length > 0 || this.severed || network.isCut(from.index, to.index)) {
      if (held.length < mostHeld) held.push({ size, cost, task })
      if (held.length === 1) {
        way.cutSince = queue.now
        this.#retry(way)
      }
      return
    }
    this.#carry(way, size, cost, task, copied)
  }

  #carry(way: Way, size: number, cost: number, task: () => void, copied?: Copied): void {
    const { from, life, to } = way
    const { network, queue } = from.world
    const { now } = queue
    // What a loop says it says at the end of what it does.
    const leaves = Math.max(now, Math.min(from.loop.freeAt, now + 50))
    const arrival = Math.max(leaves + network.delay(from.index, to.index), way.arrived)
    way.arrived = arrival
    if (copied !== undefined && to.life === life && copied.isKnownBy(arrival)) {
      to.bytesIn += size
      to.loop.charge(cost)
      return
    }
    queue.at(arrival, () => {
      if (!this.open || (!to.up && to.dark)) return
      // The kernel of a host knows nothing of a connection of an earlier process.
      if (!to.up || to.life !== life) return this.close()
      to.bytesIn += size
      if (copied?.isKnown()) to.loop.pass(cost)
      else to.loop.run(cost, task)
    })
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
