/**
 * The mesh plane's connections: those it wants it makes, and makes again for ever when they break,
 * with pauses that grow. Gossip, questions between nodes and handshakes go over them; calls do not.
 * All attempts share a rate: a node that loses everybody at once does not dial everybody at once.
 *
 *     down ──dial──► connecting ──ok──► up ──broken──► down, and at once connecting
 *       ▲                │
 *       └── back-off ◄───┘ failed
 */
import type { PeerId } from "@libp2p/interface"
import { peerIdFromString } from "@libp2p/peer-id"
import { contain, type OnDefect, uncontained } from "../../model/Defect.ts"
import { PeerKey } from "../../model/Names.ts"
import { Rate } from "../../model/Rate.ts"
import type { Ticker } from "../../model/Time.ts"
import type { Timer } from "../../model/TimerWheel.ts"
import { targetsOf } from "./DialTargets.ts"
import { reasonOf } from "./HostError.ts"
import { defaultLimits, type KeeperLimits } from "./KeeperLimits.ts"
import type { MeshHostShape } from "./MeshHost.ts"
import { redialPause } from "./RedialPause.ts"

export interface KeeperOptions {
  readonly host: Pick<MeshHostShape, "libp2p" | "peer">
  readonly ticker: Ticker
  /** Where a peer is dialled; asked at every attempt. */
  readonly addressesOf: (peer: PeerKey) => ReadonlyArray<string>
  readonly limits?: Partial<KeeperLimits> | undefined
  /** How far this node doubts itself, from 0 on (Awareness.ts). Default: it does not. */
  readonly doubt?: (() => number) | undefined
  /** Hears of what a listener throws: the others hear all the same. Default: it is thrown on. */
  readonly onDefect?: OnDefect | undefined
}

/** Milliseconds between two looks for connections that nobody needs. */
const sweepEvery = 30_000

/** Where listeners throw. */
const hearing = "who hears of the mesh's connections"

export type ConnectionState = "up" | "connecting" | "down"

export interface ConnectionStatus {
  readonly peer: PeerKey
  readonly state: ConnectionState
  readonly wanted: boolean
  /** Wall clock of the last change of state. */
  readonly since: number
  /** Why the last attempt failed, or the last connection broke. */
  readonly reason: string | undefined
}

interface Entry {
  readonly peer: PeerKey
  wanted: boolean
  up: boolean
  attempt: Promise<void> | undefined
  pause: Timer | undefined
  /** It has not failed: it is expected to dial first. */
  expected: boolean
  failures: number
  since: number
  upSince: number
  /** Monotonic: when it was wanted or asked for last. */
  neededAt: number
  /** Monotonic: the peer has asked for that much time. */
  notBefore: number
  reason: string | undefined
}

type PeerListener = (peer: PeerKey) => void

export class ConnectionKeeper {
  readonly #options: KeeperOptions
  readonly #limits: KeeperLimits
  readonly #entries = new Map<PeerKey, Entry>()
  readonly #upListeners = new Set<PeerListener>()
  readonly #downListeners = new Set<PeerListener>()
  readonly #stopping = new AbortController()
  readonly #rate: Rate
  #sweep: Timer

  constructor(options: KeeperOptions) {
    this.#options = options
    this.#limits = { ...defaultLimits, ...options.limits }
    this.#rate = new Rate(this.#limits.dialsPerSecond, this.#limits.dialBurst)
    this.#sweep = options.ticker.after(sweepEvery, this.#closeIdle)
    const { libp2p } = options.host
    libp2p.addEventListener("peer:connect", this.#onConnect)
    libp2p.addEventListener("peer:disconnect", this.#onDisconnect)
    for (const peer of libp2p.getPeers()) this.#onUp(keyOf(peer))
  }

  /**
   * Keeps a connection from now on. `patience`: how long the peer is expected to dial first, ms, unless
   * somebody here needs it sooner; two that dial each other at once pay for two handshakes and use one.
   */
  want(peer: PeerKey, patience = 0): void {
    if (peer === this.#options.host.peer || this.#stopping.signal.aborted) return
    const entry = this.#entry(peer)
    entry.wanted = true
    if (entry.up || entry.pause !== undefined || entry.attempt !== undefined) return
    if (patience === 0) {
      this.#dialInTurn(entry)
      return
    }
    entry.expected = true
    entry.pause = this.#options.ticker.after(patience, () => {
      this.#endPause(entry)
      if (entry.wanted && !entry.up) this.#dialInTurn(entry)
    })
  }

  /** The connection stays while there is one. */
  unwant(peer: PeerKey): void {
    const entry = this.#entries.get(peer)
    if (entry === undefined) return
    entry.wanted = false
    entry.neededAt = this.#options.ticker.now()
    this.#endPause(entry)
    this.#forgetIfIdle(entry)
  }

  /** A connection that is there is of use, also where it is not wanted. */
  use(peer: PeerKey): void {
    const entry = this.#entries.get(peer)
    if (entry !== undefined) entry.neededAt = this.#options.ticker.now()
  }

  isUp(peer: PeerKey): boolean {
    return this.#entries.get(peer)?.up ?? false
  }

  /** Milliseconds since there has been a connection; undefined when there is none. */
  upFor(peer: PeerKey): number | undefined {
    const entry = this.#entries.get(peer)
    return entry?.up === true ? this.#options.ticker.now() - entry.upSince : undefined
  }

  connectedPeers(): ReadonlyArray<PeerKey> {
    return Array.from(this.#entries.values()).flatMap(({ peer, up }) => (up ? [peer] : []))
  }

  /** Done when there is a connection, one that is there included; rejects with the reason. */
  async connect(peer: PeerKey): Promise<void> {
    this.#stopping.signal.throwIfAborted()
    const entry = this.#entry(peer)
    entry.neededAt = this.#options.ticker.now()
    if (entry.up) return
    if (entry.notBefore > entry.neededAt) throw new Error(entry.reason)
    this.#endPause(entry)
    // A call waits for it: it is not put off, and those that nobody waits for are.
    this.#rate.force(entry.neededAt)
    await this.#dial(entry)
    if (!entry.up) throw new Error(entry.reason ?? "the connection was lost again")
  }

  /**
   * The same for who can do without: a peer that could not be reached a moment ago is left alone until
   * its pause is over.
   */
  async reach(peer: PeerKey): Promise<void> {
    const entry = this.#entries.get(peer)
    if (entry?.up === true) return
    if (entry?.pause !== undefined && entry.attempt === undefined && !entry.expected) {
      throw new Error(entry.reason ?? "it will be tried again in a moment")
    }
    await this.connect(peer)
  }

  /**
   * The peer is busy and has said when it may have time, in ms from now: it is no failure, and it is
   * not dialled before, whoever asks for it.
   */
  askedToWait(peer: PeerKey, ms: number): void {
    const { ticker } = this.#options
    const entry = this.#entries.get(peer)
    // By chance, so that those who were told the same do not come back together.
    if (entry === undefined) return
    entry.notBefore = ticker.now() + ms * (1 + ticker.random())
    entry.reason = "it is busy and has asked for a moment"
  }

  /** There is news that the peer is well: one that is wanted is tried soon, whatever happened before. */
  wake(peer: PeerKey): void {
    const entry = this.#entries.get(peer)
    if (entry === undefined || entry.pause === undefined || entry.failures <= 1) return
    if (entry.notBefore > this.#options.ticker.now()) return
    entry.failures = 1
    entry.pause.cancel()
    this.#pauseThenDial(entry)
  }

  /** Called synchronously when there is a connection with a peer. Returns how to stop. */
  onUp(listener: PeerListener): () => void {
    this.#upListeners.add(listener)
    return () => void this.#upListeners.delete(listener)
  }

  /** Called synchronously when there is none any more. Returns how to stop. */
  onDown(listener: PeerListener): () => void {
    this.#downListeners.add(listener)
    return () => void this.#downListeners.delete(listener)
  }

  /** Breaks all connections with the peer; a wanted one is made again. */
  disconnect(peer: PeerKey, reason: Error): void {
    for (const connection of this.#options.host.libp2p.getConnections(peerIdFromString(peer))) {
      connection.abort(reason)
    }
  }

  status(): ReadonlyArray<ConnectionStatus> {
    return Array.from(
      this.#entries.values(),
      ({ attempt, peer, reason, since, up, wanted }): ConnectionStatus => ({
        peer,
        state: up ? "up" : attempt === undefined ? "down" : "connecting",
        wanted,
        since,
        reason
      })
    )
  }

  stop(): void {
    const { libp2p } = this.#options.host
    libp2p.removeEventListener("peer:connect", this.#onConnect)
    libp2p.removeEventListener("peer:disconnect", this.#onDisconnect)
    this.#stopping.abort(new Error("this node is shutting down"))
    this.#sweep.cancel()
    for (const entry of this.#entries.values()) entry.pause?.cancel()
    this.#entries.clear()
  }

  readonly #onConnect = ({ detail }: CustomEvent<PeerId>): void => this.#onUp(keyOf(detail))

  readonly #onDisconnect = ({ detail }: CustomEvent<PeerId>): void => {
    const entry = this.#entries.get(keyOf(detail))
    if (entry === undefined || !entry.up) return
    const { ticker } = this.#options
    entry.up = false
    entry.since = ticker.wall()
    entry.reason = "the connection was lost"
    if (ticker.now() - entry.upSince < this.#limits.stableAfter) entry.failures++
    else entry.failures = 0
    this.#tell(this.#downListeners, entry.peer)
    if (!entry.wanted) this.#forgetIfIdle(entry)
    else if (entry.failures > 0) this.#pauseThenDial(entry)
    else this.#dialInTurn(entry)
  }

  #onUp(peer: PeerKey): void {
    const { ticker } = this.#options
    const entry = this.#entry(peer)
    this.#endPause(entry)
    if (entry.up) return
    entry.up = true
    entry.upSince = ticker.now()
    entry.since = ticker.wall()
    this.#tell(this.#upListeners, peer)
  }

  /** libp2p calls us within its own work: nothing may be thrown into that. */
  #tell(listeners: ReadonlySet<PeerListener>, peer: PeerKey): void {
    const { onDefect = uncontained } = this.#options
    for (const listener of [...listeners]) contain(onDefect, hearing, () => listener(peer))
  }

  /** When the rate allows it. */
  #dialInTurn(entry: Entry): void {
    const { ticker } = this.#options
    if (entry.attempt !== undefined) return
    const wait = this.#rate.take(ticker.now())
    if (wait === 0) {
      this.#dial(entry)
      return
    }
    // Many wait for few turns: by chance, so that none is always too late.
    entry.pause = ticker.after(wait * (1 + ticker.random()), () => {
      entry.pause = undefined
      if (entry.wanted && !entry.up) this.#dialInTurn(entry)
    })
  }

  #dial(entry: Entry): Promise<void> {
    if (entry.attempt !== undefined) return entry.attempt
    const { addressesOf, host, ticker } = this.#options
    entry.since = ticker.wall()
    const timeout = new AbortController()
    const timer = ticker.after(this.#limits.dialTimeout, () =>
      timeout.abort(new Error(`no answer within ${this.#limits.dialTimeout} ms`))
    )
    const signal = AbortSignal.any([timeout.signal, this.#stopping.signal])
    const dial = async () => {
      await host.libp2p.dial(targetsOf(entry.peer, addressesOf(entry.peer)), { signal })
    }
    entry.attempt = dial().then(
      () => {
        timer.cancel()
        entry.attempt = undefined
        // It may have been lost already.
        this.#forgetIfIdle(entry)
      },
      (error: unknown) => {
        timer.cancel()
        entry.attempt = undefined
        if (entry.up) return
        entry.reason = reasonOf(signal.aborted ? signal.reason : error)
        if (this.#stopping.signal.aborted) return
        if (entry.notBefore <= ticker.now()) entry.failures++
        entry.since = ticker.wall()
        if (entry.wanted) this.#pauseThenDial(entry)
        else this.#forgetIfIdle(entry)
      }
    )
    return entry.attempt
  }

  #endPause(entry: Entry): void {
    entry.pause?.cancel()
    entry.pause = undefined
    entry.expected = false
  }

  #pauseThenDial(entry: Entry): void {
    if (this.#stopping.signal.aborted) return
    const { doubt = () => 0, ticker } = this.#options
    const asked = entry.notBefore - ticker.now()
    const pause =
      asked > 0 ? asked : redialPause(entry.failures, ticker.random(), this.#limits, doubt())
    entry.pause = ticker.after(pause, () => {
      entry.pause = undefined
      if (entry.wanted && !entry.up) this.#dialInTurn(entry)
    })
  }

  /**
   * Only those that this node has made: whoever else wants one has made it, or makes it again, and then
   * it is that node's to close.
   */
  readonly #closeIdle = (): void => {
    const { host, ticker } = this.#options
    this.#sweep = ticker.after(sweepEvery, this.#closeIdle)
    const since = ticker.now() - this.#limits.idleAfter
    for (const { neededAt, peer, up, wanted } of this.#entries.values()) {
      if (wanted || !up || neededAt > since) continue
      for (const connection of host.libp2p.getConnections(peerIdFromString(peer))) {
        if (connection.direction !== "outbound") continue
        connection.close().catch((error: Error) => connection.abort(error))
      }
    }
  }

  #entry(peer: PeerKey): Entry {
    const known = this.#entries.get(peer)
    if (known !== undefined) return known
    const entry: Entry = {
      peer,
      wanted: false,
      up: false,
      attempt: undefined,
      pause: undefined,
      expected: false,
      failures: 0,
      since: this.#options.ticker.wall(),
      upSince: 0,
      neededAt: this.#options.ticker.now(),
      notBefore: 0,
      reason: undefined
    }
    this.#entries.set(peer, entry)
    return entry
  }

  #forgetIfIdle(entry: Entry): void {
    if (entry.wanted || entry.up || entry.attempt !== undefined) return
    this.#entries.delete(entry.peer)
  }
}

const keyOf = (peer: PeerId): PeerKey => PeerKey.make(peer.toString())
