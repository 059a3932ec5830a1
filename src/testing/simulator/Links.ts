/**
 * Who a node is connected to: what it wants it makes, and makes again when it breaks, as the mesh's
 * ConnectionKeeper does it (same limits, same rate of attempts, same pauses), and what calls on it passes
 * the handshake gate. The keeper itself waits in promises, which virtual time has no place for.
 */
import { defaultLimits, type KeeperLimits } from "../../mesh/host/KeeperLimits.ts"
import { redialPause } from "../../mesh/host/RedialPause.ts"
import { type GateLimits, HandshakeLine } from "../../mesh/trust/HandshakeLine.ts"
import { Rate } from "../../model/Rate.ts"
import { handshake } from "./Handshake.ts"
import type { Dialled, MeshNode, NodeLinks, Wire } from "./World.ts"

export interface LinkOptions {
  readonly keeper?: Partial<KeeperLimits>
  /** Default: as in the mesh. `atOnce: Infinity` is no gate. */
  readonly gate?: Partial<GateLimits>
  /** Connections to all that are known, however many. Default false: up to nine, and to the observed ones. */
  readonly toAll?: boolean
  /** Connections are pinged each second, and one on which nothing came for so long is given up, ms. Default: not. */
  readonly dropSilentAfter?: number
}

interface Entry {
  readonly peer: MeshNode
  wanted: boolean
  pausedUntil: number | undefined
  pauses: number
  failures: number
  upSince: number
  neededAt: number
}

interface Attempt {
  over: boolean
  hangUp: () => void
  readonly waiting: Array<(connection: Wire | undefined) => void>
}

/** Between two looks for connections that nobody needs, ms. */
const sweepEvery = 30_000

/** SYN is sent again so long after the first, ms, within the time of one attempt. */
const synRetries = [0, 1_000, 3_000]

export class Links implements NodeLinks {
  /** By the index of the other node. */
  readonly open = new Map<number, Wire>()
  readonly gate: HandshakeLine
  /** Handshakes that this node began as dialler, and those that came to nothing. */
  handshakes = 0
  wasted = 0
  readonly limits: KeeperLimits
  readonly #node: MeshNode
  readonly #entries = new Map<number, Entry>()
  readonly #attempts = new Map<number, Attempt>()
  readonly #rate: Rate
  #sweeping = false

  constructor(node: MeshNode, options: LinkOptions) {
    this.#node = node
    this.limits = { ...defaultLimits, ...options.keeper }
    const after = (delay: number, run: () => void) => {
      let due: (() => void) | undefined = run
      node.later(delay, () => due?.())
      return {
        cancel: () => {
          due = undefined
        }
      }
    }
    this.gate = new HandshakeLine({ now: () => this.#now, after }, options.gate)
    this.#rate = new Rate(this.limits.dialsPerSecond, this.limits.dialBurst)
  }

  get wanted(): number {
    let count = 0
    for (const { wanted } of this.#entries.values()) if (wanted) count++
    return count
  }

  /** Wanted ones that are not there, of nodes that are. */
  get missing(): number {
    let count = 0
    for (const { peer, wanted } of this.#entries.values()) {
      if (wanted && peer.up && !this.open.has(peer.index)) count++
    }
    return count
  }

  /** `patience`: for so long it is expected to dial first, ms. */
  want(peer: MeshNode, patience = 0): void {
    const entry = this.#entry(peer)
    if (entry.wanted) return
    entry.wanted = true
    if (this.open.has(peer.index) || entry.pausedUntil !== undefined) return
    if (patience > 0) this.#pause(entry, patience)
    else this.#dialInTurn(entry)
  }

  unwant(peer: MeshNode): void {
    const entry = this.#entries.get(peer.index)
    if (entry === undefined) return
    entry.wanted = false
    entry.neededAt = this.#now
    this.#cancel(entry)
    if (this.open.has(peer.index)) this.#sweepLater()
    else this.#entries.delete(peer.index)
  }

  /** There is news that the peer is well: it is tried soon, whatever happened before. */
  wake(peer: MeshNode): void {
    const entry = this.#entries.get(peer.index)
    if (entry?.pausedUntil === undefined || entry.failures <= 1) return
    entry.failures = 1
    this.#cancel(entry)
    this.#pauseThenDial(entry)
  }

  /** With the connection that there is or is made now; undefined when that fails. Not put off by the rate. */
  connect(peer: MeshNode, done: (connection: Wire | undefined) => void): void {
    const connection = this.open.get(peer.index)
    if (connection !== undefined) {
      done(connection)
      return
    }
    this.#entry(peer).neededAt = this.#now
    const attempt = this.#attempts.get(peer.index) ?? this.#dial(this.#entry(peer))
    attempt.waiting.push(done)
  }

  drop(peer: MeshNode): void {
    this.open.get(peer.index)?.close(this.#node)
  }

  /** Puts a connection in place as if it had long been there. */
  place(connection: Wire, wanted: boolean): void {
    const entry = this.#entry(connection.other(this.#node))
    entry.wanted = wanted
    this.open.set(entry.peer.index, connection)
  }

  /** A new one. When both have dialled there are two: both keep that of the lower index. */
  opened(connection: Wire): void {
    const peer = connection.other(this.#node)
    const existing = this.open.get(peer.index)
    if (existing === undefined) {
      this.#up(connection)
      return
    }
    if (existing.isStale) {
      existing.open = false
      this.#up(connection)
      return
    }
    if (connection.ends[0].index < existing.ends[0].index) this.open.set(peer.index, connection)
  }

  #up(connection: Wire): void {
    const peer = connection.other(this.#node)
    const entry = this.#entry(peer)
    this.#cancel(entry)
    entry.upSince = this.#now
    entry.neededAt = Math.max(entry.neededAt, this.#now)
    this.open.set(peer.index, connection)
    this.#node.linkUp(peer)
    if (!entry.wanted) this.#sweepLater()
  }

  closed(connection: Wire): void {
    const peer = connection.other(this.#node)
    if (this.open.get(peer.index) !== connection) return
    this.open.delete(peer.index)
    const entry = this.#entry(peer)
    if (this.#now - entry.upSince < this.limits.stableAfter) entry.failures++
    else entry.failures = 0
    this.#node.linkDown(peer)
    if (!entry.wanted) this.#entries.delete(peer.index)
    else if (entry.failures > 0) this.#pauseThenDial(entry)
    else this.#dialInTurn(entry)
  }

  get #now(): number {
    return this.#node.world.queue.now
  }

  #entry(peer: MeshNode): Entry {
    const known = this.#entries.get(peer.index)
    if (known !== undefined) return known
    const entry: Entry = {
      peer,
      wanted: false,
      pausedUntil: undefined,
      pauses: 0,
      failures: 0,
      upSince: 0,
      neededAt: this.#now
    }
    this.#entries.set(peer.index, entry)
    return entry
  }

  #cancel(entry: Entry): void {
    entry.pausedUntil = undefined
    entry.pauses++
  }

  #pause(entry: Entry, duration: number): void {
    entry.pausedUntil = this.#now + duration
    const pause = ++entry.pauses
    this.#node.later(duration, () => {
      if (entry.pauses !== pause) return
      entry.pausedUntil = undefined
      if (entry.wanted && !this.open.has(entry.peer.index)) this.#dialInTurn(entry)
    })
  }

  #pauseThenDial(entry: Entry, least = 0): void {
    const { random } = this.#node.world
    const doubt = this.#node.membership.state.awareness
    this.#pause(
      entry,
      least + redialPause(Math.max(1, entry.failures), random(), this.limits, doubt)
    )
  }

  #dialInTurn(entry: Entry): void {
    if (this.#attempts.has(entry.peer.index)) return
    const wait = this.#rate.take(this.#now)
    if (wait === 0) this.#dial(entry)
    else this.#pause(entry, wait * (1 + this.#node.world.random()))
  }

  #dial(entry: Entry): Attempt {
    const { peer } = entry
    const attempt: Attempt = { over: false, hangUp: () => {}, waiting: [] }
    this.#attempts.set(peer.index, attempt)
    const finish = (connection: Wire | undefined, retryAfter = 0): void => {
      if (attempt.over) return
      attempt.over = true
      this.#attempts.delete(peer.index)
      if (connection === undefined) attempt.hangUp()
      if (connection === undefined && !this.open.has(peer.index)) {
        entry.failures++
        if (entry.wanted) this.#pauseThenDial(entry, retryAfter)
        else this.#entries.delete(peer.index)
      }
      const there = connection ?? this.open.get(peer.index)
      for (const waiting of attempt.waiting) waiting(there)
    }
    this.#node.later(this.limits.dialTimeout, () => finish(undefined))
    for (const retry of synRetries) {
      this.#node.later(retry, () => this.#knock(peer, attempt, finish))
    }
    return attempt
  }

  /** TCP's own handshake, of which a stopped process knows nothing. */
  #knock(peer: MeshNode, attempt: Attempt & { answered?: boolean }, finish: Dialled): void {
    if (attempt.over || attempt.answered) return
    const node = this.#node
    const { network, queue } = node.world
    if (network.isCut(node.index, peer.index) || network.isCut(peer.index, node.index)) return
    if (!peer.up && peer.dark) return
    attempt.answered = true
    const there = network.delay(node.index, peer.index)
    const back = network.delay(peer.index, node.index)
    if (!peer.up) {
      node.later(there + back, () => finish(undefined))
      return
    }
    const life = peer.life
    queue.after(2 * there + back, () => {
      if (attempt.over || !peer.up || peer.life !== life) return
      peer.loop.run(peer.world.profile.cost.refuse, () => {
        attempt.hangUp = peer.links.answer(node, () => attempt.over, finish)
      })
    })
  }

  /** Somebody calls: the gate decides, then both sides do their part. */
  answer(caller: MeshNode, isOver: () => boolean, done: Dialled): () => void {
    return handshake(this.#node, this.gate, {
      caller,
      isOver,
      done,
      patience: this.limits.dialTimeout
    })
  }

  /** Closes what this node made, does not want, and needed for nothing in five minutes. */
  #sweepLater(): void {
    if (this.#sweeping) return
    this.#sweeping = true
    this.#node.later(sweepEvery, () => {
      this.#sweeping = false
      let more = false
      for (const { neededAt, peer, wanted } of this.#entries.values()) {
        const connection = this.open.get(peer.index)
        if (wanted || connection === undefined) continue
        if (connection.ends[0] !== this.#node) continue
        if (neededAt > this.#now - this.limits.idleAfter) more = true
        else connection.close(this.#node)
      }
      if (more) this.#sweepLater()
    })
  }
}
