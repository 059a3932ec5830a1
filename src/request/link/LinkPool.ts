/**
 * All links of a node: the ones it keeps to the peers it wants, the ones it makes when somebody
 * calls, and the ones others have opened to it.
 */
import type { HostCaller } from "../../model/Caller.ts"
import { contain, type OnDefect, uncontained } from "../../model/Defect.ts"
import type { Dispatch } from "../../model/Exchange.ts"
import type { PeerKey, ServiceName } from "../../model/Names.ts"
import type { Ticker } from "../../model/Time.ts"
import type { Timer } from "../../model/TimerWheel.ts"
import { http1Heads } from "../wire/Http1Heads.ts"
import type { LinkLimits, LinkOptions, LinkStats } from "../wire/LinkOptions.ts"
import { AcceptedLinks } from "./AcceptedLinks.ts"
import type { LinkTransport } from "./LinkTransport.ts"
import { leastAfterFailure, PeerLink, type PeerLinkState } from "./PeerLink.ts"
import type { PeerLinkContext } from "./PeerLinkContext.ts"
import { defaultPeerLinkLimits, type PeerLinkLimits } from "./PeerLinkLimits.ts"

export interface LinkPoolOptions {
  readonly transport: LinkTransport
  readonly ticker: Ticker
  /** Name of this node, for faults. */
  readonly node: string
  /** Names of the others, for the same. */
  readonly nameOf?: (peer: PeerKey) => string
  /** As what the others speak, by their certificates; by default, and for those it does not know, by their keys. */
  readonly hostOf?: (peer: PeerKey) => HostCaller | undefined
  /** Where calls of other nodes go. */
  readonly serve: Dispatch
  /** Addresses of peers that are called without being wanted, e.g. from the catalogue. */
  readonly addressesOf: (peer: PeerKey) => ReadonlyArray<string>
  readonly limits?: Partial<PeerLinkLimits>
  readonly linkLimits?: Partial<LinkLimits>
  readonly heads?: LinkOptions["heads"]
  readonly defer?: LinkOptions["defer"]
  /** Hears of what throws: it costs its exchange, or its link. Default: it is thrown on. */
  readonly onDefect?: OnDefect | undefined
  /** A call to the service has to wait for a link: others of the service may be about to. */
  readonly onWait?: (service: ServiceName) => void
}

export interface PeerLinkStatus {
  readonly peer: PeerKey
  readonly state: PeerLinkState
  /** Of the last ping, ms. */
  readonly rtt: number | undefined
  /** Exchanges this node has open at the peer, and the peer here. */
  readonly exchanges: number
  readonly serving: number
  /** Over the present links, both directions of opening together. */
  readonly bytesIn: number
  readonly bytesOut: number
  readonly addresses: ReadonlyArray<string>
  /** Wall clock of the last change of state. */
  readonly since: number
  readonly wanted: boolean
  /** Why the last attempt failed or the last link broke. */
  readonly reason: string | undefined
}

const housekeepingEvery = 5_000

/** Where listeners throw. */
const hearing = "who hears of links"

const sum = (all: ReadonlyArray<LinkStats>, what: "exchanges" | "bytesIn" | "bytesOut"): number =>
  all.reduce((total, stats) => total + stats[what], 0)

export class LinkPool {
  readonly #options: LinkPoolOptions
  readonly #onDefect: OnDefect
  readonly #context: PeerLinkContext
  readonly #peers = new Map<PeerKey, PeerLink>()
  readonly #accepted = new AcceptedLinks()
  readonly #upListeners = new Set<(peer: PeerKey) => void>()
  readonly #downListeners = new Set<(peer: PeerKey, cause: Error | undefined) => void>()
  #unhandle: (() => Promise<void>) | undefined = undefined
  #house: Timer | undefined = undefined
  #stopped = false

  constructor(options: LinkPoolOptions) {
    this.#options = options
    const onDefect = options.onDefect ?? uncontained
    this.#onDefect = onDefect
    const { transport, ticker, node, addressesOf } = options
    this.#context = {
      transport,
      ticker,
      node,
      addressesOf,
      limits: { ...defaultPeerLinkLimits, ...options.limits },
      linkOptions: this.#linkOptions(),
      onWait: (service) => contain(onDefect, hearing, () => options.onWait?.(service)),
      onUp: (peer) => {
        for (const listener of this.#upListeners) {
          contain(onDefect, hearing, () => listener(peer))
        }
      },
      onDown: (peer, cause) => {
        for (const listener of this.#downListeners) {
          contain(onDefect, hearing, () => listener(peer, cause))
        }
      }
    }
  }

  /** Keeps a link to the peer from now on. The addresses are asked for at every attempt. */
  want(peer: PeerKey, addresses: () => ReadonlyArray<string>): void {
    if (peer !== this.#options.transport.self) this.#peer(peer).want(addresses)
  }

  /** The link stays as long as it is used. */
  unwant(peer: PeerKey): void {
    this.#peers.get(peer)?.unwant()
  }

  /** Makes a link to a peer that will soon be called, unless there is one or it is known to be down. */
  warm(peer: PeerKey): void {
    if (peer !== this.#options.transport.self) this.#peer(peer).warm()
  }

  /** There is a new session with the peer: it was reached a moment ago. */
  met(peer: PeerKey): void {
    this.#peers.get(peer)?.hint(leastAfterFailure)
  }

  /**
   * The peer has another address. One that was started again most often has another port, and the session comes before the
   * word of that, so the attempt which was made for it has failed.
   */
  moved(peer: PeerKey): void {
    this.#peers.get(peer)?.moved()
  }

  /** Another thread finds the peer silent: is it so here? */
  doubt(peer: PeerKey): void {
    this.#peers.get(peer)?.doubt()
  }

  /** Where calls for endpoints of this peer go. To be kept: the same for as long as one likes. */
  dispatchTo(peer: PeerKey): Dispatch {
    return (call, receiver) => this.#peer(peer).dispatch(call, receiver)
  }

  /** Whether a call would leave at once. */
  isUp(peer: PeerKey): boolean {
    return this.#peers.get(peer)?.state === "up"
  }

  /** `onDown` was called of it, and `onUp` not since. */
  isDown(peer: PeerKey): boolean {
    return this.#peers.get(peer)?.missed === true
  }

  /** Called synchronously when a link to the peer is there. Returns how to stop. */
  onUp(listener: (peer: PeerKey) => void): () => void {
    this.#upListeners.add(listener)
    return () => void this.#upListeners.delete(listener)
  }

  /**
   * Called synchronously when the link to the peer was lost or could not be made, before its exchanges
   * have their faults. A link that was closed because nobody used it was not lost, and one for which
   * this process had no descriptor says nothing of the peer. `onUp` follows as soon as the peer can be
   * reached again, wanted or not.
   */
  onDown(listener: (peer: PeerKey, cause: Error | undefined) => void): () => void {
    this.#downListeners.add(listener)
    return () => void this.#downListeners.delete(listener)
  }

  /** Peers ever called or wanted, and those that call here. */
  status(): ReadonlyArray<PeerLinkStatus> {
    const rows = new Map<PeerKey, PeerLinkStatus>()
    for (const entry of this.#peers.values()) {
      const stats = entry.stats()
      rows.set(entry.peer, {
        peer: entry.peer,
        state: entry.state,
        rtt: stats[0]?.rtt,
        exchanges: sum(stats, "exchanges"),
        serving: 0,
        bytesIn: sum(stats, "bytesIn"),
        bytesOut: sum(stats, "bytesOut"),
        addresses: entry.addresses,
        since: entry.since,
        wanted: entry.wanted,
        reason: entry.reason
      })
    }
    for (const link of this.#accepted.all()) {
      const peer = link.remote
      const stats = link.stats()
      const row = rows.get(peer) ?? this.#emptyRow(peer)
      rows.set(peer, {
        ...row,
        rtt: row.rtt ?? stats.rtt,
        serving: row.serving + stats.exchanges,
        bytesIn: row.bytesIn + stats.bytesIn,
        bytesOut: row.bytesOut + stats.bytesOut
      })
    }
    return [...rows.values()]
  }

  /** Exchanges of other nodes that run here now. */
  serving(): number {
    return this.#accepted.serving
  }

  /** Takes the links that others open, from now on. */
  async listen(): Promise<void> {
    this.#unhandle = await this.#options.transport.handle("/skein/link/2", (peer, channel) =>
      this.accept(peer, channel)
    )
  }

  async stopListening(): Promise<void> {
    const unhandle = this.#unhandle
    this.#unhandle = undefined
    await unhandle?.()
  }

  /** Asks every peer to open nothing new here. What runs goes on; own calls go on. */
  goaway(reason = "the node is draining"): void {
    this.#accepted.drain(reason)
    this.stopListening().catch((error: unknown) => this.#onDefect(error, "the links' port"))
  }

  /**
   * Calls back when no other node has a link here (after `goaway`: when each has all it was
   * answered), at once if so now. Returns how to stop waiting.
   */
  whenServed(then: () => void): () => void {
    return this.#accepted.whenServed(then)
  }

  /** Breaks all that joins this node with the peer, and wants it no more, e.g. when it is revoked. */
  disconnect(peer: PeerKey, reason: string): void {
    const error = new Error(reason)
    this.#peers.get(peer)?.stop(error)
    this.#peers.delete(peer)
    this.#accepted.abort(error, peer)
    this.#context.transport.disconnect(peer, error)
  }

  connectedPeers(): ReadonlyArray<PeerKey> {
    return this.#context.transport.connectedPeers()
  }

  /** Takes the channel a peer has opened. */
  accept(peer: PeerKey, channel: LinkOptions["channel"]): void {
    if (this.#stopped) {
      channel.abort(new Error("this node is shutting down"))
      return
    }
    const { hostOf, ticker, node, serve } = this.#options
    const host = hostOf?.(peer)
    try {
      this.#accepted.add({
        ...this.#linkOptions(),
        channel,
        ticker,
        node,
        remote: peer,
        host,
        serve
      })
      // Whoever reaches us can be reached.
      this.#peers.get(peer)?.hint()
    } catch (error) {
      channel.abort(error instanceof Error ? error : new Error(String(error)))
      this.#onDefect(error, "a link that was accepted")
    }
  }

  stop(): void {
    this.#stopped = true
    const error = new Error("this node is shutting down")
    for (const entry of this.#peers.values()) entry.stop(error)
    this.#peers.clear()
    this.#accepted.abort(error)
  }

  #linkOptions(): PeerLinkContext["linkOptions"] {
    const { defer, heads, linkLimits, nameOf } = this.#options
    return {
      heads: heads ?? http1Heads,
      ...(linkLimits === undefined ? {} : { limits: linkLimits }),
      ...(nameOf === undefined ? {} : { nameOf }),
      ...(defer === undefined ? {} : { defer }),
      onDefect: this.#onDefect
    }
  }

  #peer(peer: PeerKey): PeerLink {
    const known = this.#peers.get(peer)
    if (known !== undefined) return known
    const entry = new PeerLink(peer, this.#context)
    if (this.#stopped) entry.stop(new Error("this node is shutting down"))
    else {
      this.#peers.set(peer, entry)
      this.#keepHouse()
    }
    return entry
  }

  #emptyRow(peer: PeerKey): PeerLinkStatus {
    return {
      peer,
      state: "down",
      rtt: undefined,
      exchanges: 0,
      serving: 0,
      bytesIn: 0,
      bytesOut: 0,
      addresses: this.#options.addressesOf(peer),
      since: this.#options.ticker.wall(),
      wanted: false,
      reason: undefined
    }
  }

  /** Runs only while there are peers, so that an idle node sleeps. */
  #keepHouse(): void {
    this.#house ??= this.#options.ticker.after(housekeepingEvery, () => {
      this.#house = undefined
      if (this.#stopped) return
      if (this.#peers.size > 0) this.#keepHouse()
      for (const entry of this.#peers.values()) {
        entry.closeIfUnused()
        if (entry.idle) this.#peers.delete(entry.peer)
      }
    })
  }
}
