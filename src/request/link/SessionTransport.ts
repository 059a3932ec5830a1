/**
 * The links of one request thread: TCP connections of their own to the request threads of other
 * nodes, made from sessions. What it accepts comes from the mesh port (MeshPort.ts).
 */
import type { ByteChannel } from "../../model/ByteChannel.ts"
import type { OnDefect } from "../../model/Defect.ts"
import type { PeerKey } from "../../model/Names.ts"
import type { Session } from "../../model/Session.ts"
import type { Ticker } from "../../model/Time.ts"
import type { LinkRefusal } from "../wire/LinkPreface.ts"
import type { LinkedSocket } from "./AddressAttempt.ts"
import { type AcceptLimits, defaultAcceptLimits, LinkAcceptance } from "./LinkAcceptance.ts"
import type { LinkProtocol, LinkTransport } from "./LinkTransport.ts"
import type { SortedConnection } from "./MeshPort.ts"
import { SealedChannel } from "./SealedChannel.ts"
import { type DialLimits, defaultDialLimits, SessionDialler } from "./SessionDialler.ts"
import type { Sessions } from "./Sessions.ts"

export interface SessionTransportOptions {
  readonly self: PeerKey
  readonly sessions: Sessions
  readonly ticker: Ticker
  /** This thread's index among the node's request threads, and how many there are. Default 0 of 1. */
  readonly thread?: number
  readonly threads?: number
  /**
   * Asks the mesh thread for a session with a peer: there is none, or the peer has refused the one
   * that is told. Must not answer with that one again.
   */
  readonly needSession: (
    peer: PeerKey,
    refused: Session | undefined,
    signal: AbortSignal
  ) => Promise<Session>
  /**
   * Whether this thread takes a link, or sends who dials on to another. Told how often it was sent
   * on already and which thread it would like. Default: always.
   */
  readonly mayAccept?: (tries: number, thread: number | undefined) => boolean
  /** Index of the peer's thread that we would like. Default: any. */
  readonly wish?: (peer: PeerKey) => number | undefined
  readonly dial?: Partial<DialLimits>
  readonly accept?: Partial<AcceptLimits>
  /** Hears of what throws in a handshake: it costs that connection. Default: it is thrown on. */
  readonly onDefect?: OnDefect | undefined
}

/** Since the start, but for `links`, which are open now. */
export interface SessionTransportCounts {
  readonly links: number
  readonly dialled: number
  readonly accepted: number
  /** Prefaces that were refused here, by reason. */
  readonly refused: ReadonlyMap<LinkRefusal, number>
  /** Connections that had begun a preface and said no hello in time, or made room for others. */
  readonly abandoned: number
}

type Handler = (peer: PeerKey, channel: ByteChannel) => void

export class SessionTransport implements LinkTransport {
  readonly self: PeerKey
  readonly #options: SessionTransportOptions
  readonly #dialler: SessionDialler
  readonly #acceptance: LinkAcceptance
  readonly #links = new Map<PeerKey, Set<SealedChannel>>()
  #handler: Handler | undefined = undefined
  #dialled = 0
  #accepted = 0
  #stopped: Error | undefined = undefined

  constructor(options: SessionTransportOptions) {
    const { self, sessions, ticker, needSession, thread = 0, threads = 1 } = options
    this.self = self
    this.#options = options
    this.#dialler = new SessionDialler({
      self,
      sessions,
      ticker,
      needSession,
      limits: { ...defaultDialLimits, ...options.dial },
      wish: options.wish ?? (() => undefined),
      adopt: (linked, session) => this.#adopt(linked, session)
    })
    this.#acceptance = new LinkAcceptance({
      self,
      sessions,
      ticker,
      thread,
      threads,
      limits: { ...defaultAcceptLimits, ...options.accept },
      mayAccept: options.mayAccept ?? (() => true),
      isOpen: () => this.#handler !== undefined && this.#stopped === undefined,
      linksWith: (peer) => this.#links.get(peer)?.size ?? 0,
      onLink: (channel) => this.#onAccepted(channel),
      onGone: (channel) => this.#forget(channel),
      onDefect: options.onDefect
    })
  }

  get counts(): SessionTransportCounts {
    let links = 0
    for (const { size } of this.#links.values()) links += size
    const { refused, abandoned } = this.#acceptance
    return { links, dialled: this.#dialled, accepted: this.#accepted, refused, abandoned }
  }

  /** A new link, on a connection of its own. Rejects with a LinkDialError, or the signal's reason. */
  async open(
    peer: PeerKey,
    _protocol: LinkProtocol,
    addresses: ReadonlyArray<string>,
    signal: AbortSignal
  ): Promise<ByteChannel> {
    if (this.#stopped !== undefined) throw this.#stopped
    const channel = await this.#dialler.dial(peer, addresses, signal)
    if (!signal.aborted) return channel
    const reason: unknown = signal.reason
    channel.abort(reason instanceof Error ? reason : new Error(String(reason)))
    throw reason
  }

  async handle(_protocol: LinkProtocol, accept: Handler): Promise<() => Promise<void>> {
    this.#handler = accept
    return async () => {
      if (this.#handler === accept) this.#handler = undefined
    }
  }

  /** A connection to the mesh port that begins with a preface. */
  accept(connection: SortedConnection): void {
    this.#acceptance.take(connection)
  }

  disconnect(peer: PeerKey, reason: Error): void {
    for (const channel of [...(this.#links.get(peer) ?? [])]) channel.abort(reason)
  }

  connectedPeers(): ReadonlyArray<PeerKey> {
    return [...this.#links.keys()]
  }

  /** Ends everything, for good. */
  stop(reason: Error): void {
    this.#stopped = reason
    this.#acceptance.close()
    for (const peer of this.connectedPeers()) this.disconnect(peer, reason)
  }

  /** Undefined: the session has ended meanwhile. */
  #adopt({ socket, reads, answer }: LinkedSocket, session: Session): SealedChannel | undefined {
    const { sessions, ticker } = this.#options
    let release: (() => void) | undefined
    const isOver = this.#stopped !== undefined || typeof sessions.find(session.id) === "string"
    if (isOver) {
      socket.destroy()
      return undefined
    }
    const channel = new SealedChannel({
      socket,
      reads,
      side: "dialler",
      keys: answer.keys,
      session,
      version: answer.version,
      ticker,
      answeredBy: { thread: answer.thread, threads: answer.threads },
      onClosed: (channel) => {
        release?.()
        this.#forget(channel)
      }
    })
    release = sessions.hold(session, channel)
    if (release === undefined) {
      channel.abort(new Error("the session has ended"))
      return undefined
    }
    this.#dialled++
    this.#register(channel)
    channel.received(answer.rest)
    return channel
  }

  #onAccepted(channel: SealedChannel): void {
    const handler = this.#handler
    if (handler === undefined || this.#stopped !== undefined) {
      channel.abort(this.#stopped ?? new Error("nobody takes links any more"))
      return
    }
    this.#accepted++
    this.#register(channel)
    handler(channel.session.peer, channel)
  }

  #register(channel: SealedChannel): void {
    const { peer } = channel.session
    const known = this.#links.get(peer)
    if (known === undefined) this.#links.set(peer, new Set([channel]))
    else known.add(channel)
  }

  #forget(channel: SealedChannel): void {
    const { peer } = channel.session
    const known = this.#links.get(peer)
    if (known?.delete(channel) === true && known.size === 0) this.#links.delete(peer)
  }
}
