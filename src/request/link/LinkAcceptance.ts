/**
 * Takes the connections of other nodes' request threads: reads the preface, judges it, answers, and
 * has a link once the dialler has said hello. What is refused is told why, before there was any
 * cryptography where that can be. Until the hello a connection is a newcomer: few at a time, and
 * not for long.
 */
import type net from "node:net"
import { type OnDefect, uncontained } from "../../model/Defect.ts"
import type { PeerKey } from "../../model/Names.ts"
import { Rate } from "../../model/Rate.ts"
import type { Session } from "../../model/Session.ts"
import type { Ticker } from "../../model/Time.ts"
import { SocketGuard } from "../socket/SocketGuard.ts"
import {
  AcceptorPreface,
  answerClaim,
  encodeRefusal,
  type LinkClaim,
  type LinkRefusal,
  maxThreadTries
} from "../wire/LinkPreface.ts"
import type { SortedConnection } from "./MeshPort.ts"
import { Newcomers } from "./Newcomers.ts"
import { SealedChannel } from "./SealedChannel.ts"
import type { Sessions } from "./Sessions.ts"

export interface AcceptLimits {
  /** Connections that shake hands, at a time; the oldest makes room. Default 256. */
  readonly handshakes: number
  /** From the first byte to the hello, ms. Default 2,000. */
  readonly patience: number
  /** Handshakes a second, and as many at once; above it one is told when to come back. 400. */
  readonly perSecond: number
  /** Accepted links of this thread, at a time; above it `busy`. Default 4,096. */
  readonly links: number
  /** Of them with one peer: each of its threads has up to four. Default 512. */
  readonly perPeer: number
}

export const defaultAcceptLimits: AcceptLimits = {
  handshakes: 256,
  patience: 2_000,
  perSecond: 400,
  links: 4_096,
  perPeer: 512
}

/** When it makes sense to come back to a thread that has all the links it takes, ms. */
const fullWait = 1_000

export interface AcceptanceOptions {
  readonly self: PeerKey
  readonly sessions: Sessions
  readonly ticker: Ticker
  readonly limits: AcceptLimits
  /** This thread's index, and how many there are. */
  readonly thread: number
  readonly threads: number
  /** False: let the dialler try for another thread. Told how often it has, and which it would like. */
  readonly mayAccept: (tries: number, thread: number | undefined) => boolean
  /** Whether somebody takes links. */
  readonly isOpen: () => boolean
  /** How many links there are with a peer, whoever dialled. */
  readonly linksWith: (peer: PeerKey) => number
  /** The dialler has said hello: its events are to be set before this returns. */
  readonly onLink: (channel: SealedChannel) => void
  /** A link is over, before its events hear of it. */
  readonly onGone: (channel: SealedChannel) => void
  /** Hears of what throws in a handshake: it costs that connection. Default: it is thrown on. */
  readonly onDefect?: OnDefect | undefined
}

interface Refused {
  readonly code: LinkRefusal
  readonly wait: number
}

export class LinkAcceptance {
  /** Links that are open. */
  links = 0
  /** By what was said to them. */
  readonly refused = new Map<LinkRefusal, number>()
  readonly #options: AcceptanceOptions
  readonly #newcomers: Newcomers
  /**
   * Each handshake is two operations on a curve, dearer than anything else a peer can ask for: who
   * comes too soon is told when to come back, before there was any cryptography.
   */
  readonly #rate: Rate

  constructor(options: AcceptanceOptions) {
    const { handshakes: most, patience, perSecond } = options.limits
    this.#options = options
    this.#newcomers = new Newcomers(options.ticker, { most, patience })
    this.#rate = new Rate(perSecond, perSecond)
  }

  /** Connections that were given up before they had become links. */
  get abandoned(): number {
    return this.#newcomers.late + this.#newcomers.displaced
  }

  take({ socket, reads, first }: SortedConnection): void {
    const leave = this.#newcomers.add(socket)
    const preface = new AcceptorPreface()
    socket.on("error", () => undefined) // `close` follows
    const guard = new SocketGuard(this.#options.onDefect ?? uncontained, "the handshake of a link")
    guard.watch(socket)
    const onBytes = guard.handler((bytes: Uint8Array): void => {
      const claim = preface.push(bytes)
      if (claim === undefined) return
      // What follows is not for us: the channel reads it, or nobody.
      reads.onBytes = () => undefined
      if (typeof claim === "string") this.#refuse(socket, { code: claim, wait: 0 })
      else this.#onClaim(claim, socket, reads, leave)
    })
    reads.onBytes = onBytes
    onBytes(first)
  }

  close(): void {
    this.#newcomers.close()
  }

  #onClaim(
    claim: LinkClaim,
    socket: net.Socket,
    reads: SortedConnection["reads"],
    leave: () => void
  ): void {
    const session = this.#judge(claim)
    if ("code" in session) {
      this.#refuse(socket, session)
      return
    }
    const { self, sessions, thread, threads, ticker } = this.#options
    const answer = answerClaim(claim, {
      secret: session.secret,
      dialler: session.peer,
      acceptor: self,
      thread,
      threads,
      isFresh: (ephemeral) => sessions.isFresh(session.id, ephemeral)
    })
    if (!answer.accepted) {
      this.#rate.giveBack()
      this.#refuse(socket, { code: answer.code, wait: 0 })
      return
    }
    socket.write(answer.bytes)
    let isLink = false
    let release: (() => void) | undefined
    const channel = new SealedChannel({
      socket,
      reads,
      side: "acceptor",
      keys: answer.keys,
      session,
      version: claim.version,
      ticker,
      onHello: (channel) => {
        leave()
        isLink = true
        this.links++
        this.#options.onLink(channel)
      },
      onClosed: () => {
        release?.()
        if (!isLink) return
        this.links--
        this.#options.onGone(channel)
      }
    })
    // Held from here on: a session that ends now ends the handshake too.
    release = sessions.hold(session, channel)
    if (release === undefined) channel.abort(new Error("the session has ended"))
    else channel.received(claim.rest)
  }

  /** All that can be said before there is any cryptography. */
  #judge({ session: id, tries, thread }: LinkClaim): Session | Refused {
    const { sessions, limits, isOpen, linksWith, mayAccept, ticker } = this.#options
    const session = sessions.find(id)
    if (typeof session === "string") return { code: session, wait: 0 }
    const isFull = this.links >= limits.links || linksWith(session.peer) >= limits.perPeer
    if (isFull || !isOpen()) return { code: "busy", wait: fullWait }
    if (tries < maxThreadTries && !mayAccept(tries, thread))
      return { code: "other_thread", wait: 0 }
    const wait = this.#rate.take(ticker.now())
    return wait === 0 ? session : { code: "busy", wait }
  }

  /** Who is refused closes; who does not is closed as newcomers are. */
  #refuse(socket: net.Socket, { code, wait }: Refused): void {
    this.refused.set(code, (this.refused.get(code) ?? 0) + 1)
    socket.end(encodeRefusal(code, wait))
  }
}
