/**
 * A connection of two nodes, as TCP keeps one: ordered both ways, patient with loss and cuts, broken
 * only when one end closes it, when a process ends (its kernel says so), or when a kernel gives up.
 */
import { nextRetry } from "./Network.ts"
import type { MeshNode, Wire } from "./World.ts"

interface Held {
  readonly size: number
  readonly cost: number
  readonly task: () => void
}

/** Messages that wait behind a cut, one way; what comes then is as good as lost: who asked has given up. */
const mostHeld = 512

export class Connection implements Wire {
  /** Who dialled, and who answered. */
  readonly ends: readonly [MeshNode, MeshNode]
  readonly openedAt: number
  open = true
  /** An end went without a word (its host lost power); the other one does not know. */
  severed = false
  /** Questions under way: they fail when it closes. */
  readonly pending = new Set<() => void>()
  readonly #lives: readonly [number, number]
  readonly #arrived: [number, number] = [0, 0]
  readonly #held: [Array<Held>, Array<Held>] = [[], []]
  readonly #cutSince: [number, number] = [0, 0]

  constructor(dialler: MeshNode, answerer: MeshNode, now: number) {
    this.ends = [dialler, answerer]
    this.#lives = [dialler.life, answerer.life]
    this.openedAt = now
  }

  /** Does it lead to a process that there is no more? */
  get isStale(): boolean {
    return !this.open || this.severed || this.ends.some((end, way) => end.life !== this.#lives[way])
  }

  other(node: MeshNode): MeshNode {
    return this.ends[0] === node ? this.ends[1] : this.ends[0]
  }

  /**
   * Runs `task` at the other end when the message is there and its loop has time for it. `isKnown`: would it
   * be nothing new there at that time? Then it is not run, and only what it costs to receive it counts.
   */
  send(
    from: MeshNode,
    size: number,
    cost: number,
    task: () => void,
    isKnown?: (arrival: number) => boolean
  ): void {
    if (!this.open) return
    const way = from === this.ends[0] ? 0 : 1
    const to = this.ends[1 - way]!
    from.bytesOut += size
    const { network, queue } = from.world
    const held = this.#held[way]!
    if (held.length > 0 || this.severed || network.isCut(from.index, to.index)) {
      if (held.length < mostHeld) held.push({ size, cost, task })
      if (held.length === 1) {
        this.#cutSince[way] = queue.now
        this.#retry(way)
      }
      return
    }
    this.#carry(way, size, cost, task, isKnown)
  }

  #carry(
    way: 0 | 1,
    size: number,
    cost: number,
    task: () => void,
    isKnown?: (arrival: number) => boolean
  ): void {
    const from = this.ends[way]
    const to = this.ends[1 - way]!
    const { network, queue } = from.world
    // What a loop says it says at the end of what it does.
    const leaves = Math.max(queue.now, Math.min(from.loop.freeAt, queue.now + 50))
    const arrival = Math.max(leaves + network.delay(from.index, to.index), this.#arrived[1 - way]!)
    this.#arrived[1 - way] = arrival
    const life = this.#lives[1 - way]
    if (to.life === life && isKnown?.(arrival)) {
      to.bytesIn += size
      to.loop.charge(cost)
      return
    }
    queue.at(arrival, () => {
      if (!this.open || (!to.up && to.dark)) return
      // The kernel of a host knows nothing of a connection of an earlier process.
      if (!to.up || to.life !== life) return this.close()
      to.bytesIn += size
      to.loop.run(cost, task)
    })
  }

  /** TCP tries again what a cut holds, with pauses that double. */
  #retry(way: 0 | 1): void {
    const from = this.ends[way]
    const to = this.ends[1 - way]!
    const { network, queue } = from.world
    queue.at(nextRetry(this.#cutSince[way]!, queue.now), () => {
      if (!this.open) return
      if (network.isCut(from.index, to.index) || (this.severed && !to.up)) return this.#retry(way)
      if (this.severed) return this.close()
      for (const { size, cost, task } of this.#held[way]!.splice(0)) {
        this.#carry(way, size, cost, task)
      }
    })
  }

  /** Both ends know at once. `by`: one end closes it, and the other hears of it a moment later. */
  close(by?: MeshNode): void {
    if (!this.open) return
    this.open = false
    for (const [way, end] of this.ends.entries()) {
      if (!end.up || end.life !== this.#lives[way]) continue
      if (by === undefined || end === by) end.links.closed(this)
      else this.#tellClosed(way, end)
    }
    for (const fail of Array.from(this.pending)) fail()
    this.pending.clear()
  }

  #tellClosed(way: number, end: MeshNode): void {
    const { network, queue } = end.world
    const by = this.other(end)
    const since = queue.now
    const tell = (): void => {
      if (!end.up || end.life !== this.#lives[way]) return
      if (network.isCut(by.index, end.index)) {
        queue.at(nextRetry(since, queue.now), tell)
        return
      }
      end.loop.run(end.world.profile.cost.receive, () => end.links.closed(this))
    }
    queue.after(network.delay(by.index, end.index), tell)
  }
}
