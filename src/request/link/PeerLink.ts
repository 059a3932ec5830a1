/**
 * The way to one peer: the link there is, or the attempt to make one, or the pause before the
 * next. While a peer is wanted the attempts never end. When the link is full, others help out.
 *
 *     down ──dial──► connecting ──ok──► up ──goaway──► draining ──► down
 *       ▲                │               └──broken──► down, and at once connecting
 *       └── back-off ◄───┘ failed
 */

import type { Call, Dispatch, RequestStream, ResponseReceiver } from "../../model/Exchange.ts"
import type { Fault, FaultCode } from "../../model/Fault.ts"
import type { PeerKey } from "../../model/Names.ts"
import { isOwnShortage } from "../../model/OwnShortage.ts"
import { reasonOf } from "../../model/Reason.ts"
import { refuse } from "../../model/RefusedExchange.ts"
import type { Timer } from "../../model/TimerWheel.ts"
import type { LinkStats } from "../wire/LinkOptions.ts"
import { SilenceError } from "../wire/LinkSession.ts"
import { DialedLink } from "./DialedLink.ts"
import { LinkQueue } from "./LinkQueue.ts"
import { LinkRoom } from "./LinkRoom.ts"
import type { PeerLinkContext } from "./PeerLinkContext.ts"
import { redialPause } from "./PeerLinkLimits.ts"
import { SessionEnded } from "./Sessions.ts"
import { SpareLinks } from "./SpareLinks.ts"

export type PeerLinkState = "up" | "draining" | "connecting" | "down"

/**
 * With a new session it is tried again no sooner after an attempt that failed, ms: that may be what it was
 * asked for, by this thread or another.
 */
export const leastAfterFailure = 1_000

/** It is dialled at once for another address no more often, ms. */
const againAfter = 5_000

export class PeerLink {
  readonly peer: PeerKey
  readonly #context: PeerLinkContext
  /** Calls that wait for a link. */
  readonly #queue: LinkQueue
  #wanted: (() => ReadonlyArray<string>) | undefined = undefined
  /** The link there is. */
  #room: LinkRoom | undefined = undefined
  readonly #spares: SpareLinks
  #attempt: AbortController | undefined = undefined
  #pause: Timer | undefined = undefined
  /** Monotonic. */
  #pauseEnds = 0
  /** The attempt that is running follows a failed one, and nothing says that it will go better. */
  #retrying = false
  /**
   * The link was lost, or could not be made in time, and callers were told. They call elsewhere until
   * they are told that there is one again, so it is made without being asked for, as long as the peer
   * has an address.
   */
  #missed = false
  /** It is being closed because nobody uses it, which says nothing about the peer. */
  #unused = false
  #failures = 0
  /** When it was last dialled at once for having another address. */
  #movedAt = Number.NEGATIVE_INFINITY
  /** When the last attempt failed or the last link broke, monotonic. */
  #failedAt = Number.NEGATIVE_INFINITY
  #stopped = false
  #lastUsed: number
  /** When the present state began, wall clock. */
  #since: number
  /** Why the last attempt failed or the last link broke. */
  #reason: string | undefined = undefined
  /** The last attempt failed for want of a descriptor here, which says nothing of the peer. */
  #short = false

  constructor(peer: PeerKey, context: PeerLinkContext) {
    this.peer = peer
    this.#context = context
    this.#queue = new LinkQueue({
      context,
      name: () => this.#name,
      fault: (call, code, message) => this.#fault(call, code, message),
      onLate: (cause) => this.#miss(cause)
    })
    this.#spares = new SpareLinks(peer, context, () => this.addresses)
    this.#lastUsed = context.ticker.now()
    this.#since = context.ticker.wall()
  }

  get wanted(): boolean {
    return this.#wanted !== undefined
  }

  get state(): PeerLinkState {
    if (this.#link !== undefined) return this.#link.available ? "up" : "draining"
    return this.#attempt === undefined ? "down" : "connecting"
  }

  get #link(): DialedLink | undefined {
    return this.#room?.link
  }

  /** Of all links there are. */
  stats(): ReadonlyArray<LinkStats> {
    return this.#link === undefined
      ? this.#spares.stats()
      : [this.#link.stats(), ...this.#spares.stats()]
  }

  get since(): number {
    return this.#since
  }

  get reason(): string | undefined {
    return this.#reason
  }

  get addresses(): ReadonlyArray<string> {
    return this.#wanted?.() ?? this.#context.addressesOf(this.peer)
  }

  /** Nobody wants it, nobody uses it: it can be forgotten. */
  get idle(): boolean {
    return (
      !this.#kept &&
      this.#link === undefined &&
      this.#attempt === undefined &&
      this.#queue.size === 0 &&
      !this.#spares.inUse &&
      this.#context.ticker.now() - this.#lastUsed > this.#context.limits.idleAfter
    )
  }

  /** Attempts to have a link do not end. */
  get #kept(): boolean {
    return this.#wanted !== undefined || (this.#missed && this.addresses.length > 0)
  }

  want(addresses: () => ReadonlyArray<string>): void {
    const fresh = this.#wanted === undefined
    this.#wanted = addresses
    if (fresh && this.#link === undefined && this.#pause === undefined) this.#dial()
  }

  unwant(): void {
    this.#wanted = undefined
    this.#lastUsed = this.#context.ticker.now()
    if (this.#missed) return
    this.#pause?.cancel()
    this.#pause = undefined
  }

  /** Callers were told that there is no link, and not yet that there is one again. */
  get missed(): boolean {
    return this.#missed
  }

  /**
   * Something says that it may work now (the peer has come to us, there is a new session), so whoever
   * calls waits for the attempt. `least`: not before so many ms after one that has failed, where the news
   * may come of that.
   */
  hint(least = 0): void {
    if (this.#pause === undefined) return
    const rest = this.#failedAt + least - this.#context.ticker.now()
    if (rest <= 0) {
      this.#pause.cancel()
      this.#pause = undefined
      this.#dial()
    } else if (this.#failedAt + least < this.#pauseEnds) {
      this.#pauseFor(rest, false)
    }
  }

  /**
   * It has another address, and what has failed so far says nothing of that. Where it has others all the time, each
   * is as any other news: it chooses them, and nobody is to be dialled by all as often as it says so.
   */
  moved(): void {
    const now = this.#context.ticker.now()
    const isAgain = now - this.#movedAt < againAfter
    if (this.#link !== undefined || isAgain) {
      this.hint(leastAfterFailure)
      return
    }
    this.#movedAt = now
    this.#failures = 0
    this.hint()
  }

  /** It will be called soon. */
  warm(): void {
    this.#lastUsed = this.#context.ticker.now()
    if (this.#pause === undefined) this.#dial()
  }

  readonly dispatch: Dispatch = (call, receiver) => {
    const room = this.#room
    this.#lastUsed = this.#context.ticker.now()
    if (room === undefined) return this.#wait(call, receiver)
    // One that takes nothing new says so itself.
    if (room.take() || !room.link.available) return room.link.open(call, receiver)
    return this.#spares.dispatch(call, receiver)
  }

  /** Another thread finds the peer silent. */
  doubt(): void {
    this.#link?.session.doubt()
  }

  closeIfUnused(): void {
    const { ticker, limits } = this.#context
    const link = this.#link
    this.#spares.closeIfUnused()
    if (this.wanted || link === undefined || link.stats().exchanges > 0) return
    if (ticker.now() - this.#lastUsed <= limits.idleAfter) return
    this.#unused = true
    link.drain("unused")
  }

  /** Ends everything, for good. */
  stop(reason: Error): void {
    this.#stopped = true
    this.#wanted = undefined
    this.#pause?.cancel()
    this.#pause = undefined
    this.#attempt?.abort(reason)
    this.#link?.abort(reason)
    this.#spares.stop(reason)
    this.#failWaiting(reason.message)
  }

  #wait(call: Call, receiver: ResponseReceiver): RequestStream {
    if (this.#stopped) {
      return this.#refuse(receiver, this.#fault(call, "draining", "this node is shutting down"))
    }
    if (this.#pause !== undefined || (this.#attempt !== undefined && this.#retrying)) {
      // Who has just been seen to be down is not waited for; attempts go on in the background.
      return this.#refuse(receiver, this.#connectFault(call))
    }
    const exchange = this.#queue.add(call, receiver)
    if (exchange === undefined) {
      const { waiting } = this.#context.limits
      const message = `${waiting} exchanges wait for a link to ${this.#name}, the limit`
      return this.#refuse(receiver, this.#fault(call, "overflow", message))
    }
    this.#dial()
    this.#context.onWait(call.service)
    return exchange
  }

  #refuse(receiver: ResponseReceiver, fault: Fault): RequestStream {
    return refuse(receiver, fault, this.#context.linkOptions.onDefect)
  }

  #dial(retrying = false): void {
    if (this.#attempt !== undefined || this.#link !== undefined || this.#stopped) return
    this.#retrying = retrying
    const { transport, ticker, limits } = this.#context
    const attempt = new AbortController()
    this.#attempt = attempt
    this.#since = ticker.wall()
    const timer = ticker.after(limits.dialTimeout, () =>
      attempt.abort(new Error(`no answer within ${limits.dialTimeout} ms`))
    )
    transport
      .open(this.peer, "/skein/link/2", this.addresses, attempt.signal)
      .then(
        (channel) => {
          timer.cancel()
          this.#attempt = undefined
          if (this.#stopped) {
            channel.abort(new Error("this node is shutting down"))
            return
          }
          const { linkOptions, node } = this.#context
          this.#onUp(new DialedLink({ ...linkOptions, channel, ticker, node, remote: this.peer }))
        },
        (error: unknown) => {
          timer.cancel()
          this.#attempt = undefined
          this.#onFailed(attempt.signal.aborted ? attempt.signal.reason : error)
        }
      )
      .catch((error: unknown) => this.#context.linkOptions.onDefect(error, "a new link"))
  }

  #onUp(link: DialedLink): void {
    const { ticker, limits, transport, onUp } = this.#context
    const began = ticker.now()
    this.#room = new LinkRoom(link)
    this.#missed = false
    this.#short = false
    this.#since = ticker.wall()
    link.events = {
      onDraining: () => {
        this.#since = ticker.wall()
      },
      onDown: (cause) => {
        this.#room = undefined
        this.#reason = cause === undefined ? "closed by agreement" : reasonOf(cause)
        this.#since = ticker.wall()
        // The connection carries nothing either: a new stream on it would only wait.
        if (cause instanceof SilenceError) transport.disconnect(this.peer, cause)
        if (ticker.now() - began < limits.stableAfter) this.#failures++
        else this.#failures = 0
        const missed = !this.#unused || cause !== undefined
        this.#unused = false
        if (missed) this.#miss(cause)
        // Once is no sign of trouble with the peer: one of its threads may have crashed, and the
        // others take the next link at once.
        const isOver = cause instanceof SessionEnded
        if (isOver) this.#failures = Math.max(1, this.#failures)
        // Without a session there is nothing to make one from; whoever calls is told so.
        if (isOver || this.#failures > 1) this.#pauseThenDial()
        else if (this.#kept) this.#dial()
      }
    }
    this.#queue.begin(this.dispatch)
    onUp(this.peer)
  }

  #onFailed(error: unknown): void {
    const reason = reasonOf(error)
    this.#failures++
    this.#reason = reason
    this.#short = isOwnShortage(error)
    this.#since = this.#context.ticker.wall()
    // Before those who waited are told, so that they go on elsewhere.
    if (!this.#short && !this.#stopped) {
      this.#miss(error instanceof Error ? error : new Error(reason))
    }
    this.#failWaiting(reason)
    this.#pauseThenDial()
  }

  /** Nothing reaches the peer: whatever is called there has not failed, and is not asked. */
  #miss(cause: Error | undefined): void {
    if (this.#missed) return
    this.#missed = true
    this.#context.onDown(this.peer, cause)
  }

  #pauseThenDial(): void {
    if (this.#stopped) return
    const { ticker, limits } = this.#context
    this.#failedAt = ticker.now()
    this.#pauseFor(redialPause(this.#failures, ticker.random(), limits), true)
  }

  #pauseFor(pause: number, retrying: boolean): void {
    const { ticker } = this.#context
    this.#pause?.cancel()
    this.#pauseEnds = ticker.now() + pause
    this.#pause = ticker.after(pause, () => {
      this.#pause = undefined
      if (this.#kept) this.#dial(retrying)
    })
  }

  #failWaiting(reason: string): void {
    this.#reason = reason
    this.#queue.fail((call) => this.#connectFault(call))
  }

  get #name(): string {
    return this.#context.linkOptions.nameOf?.(this.peer) ?? this.peer
  }

  #connectFault(call: Call): Fault {
    const message = `the node ${this.#name} cannot be reached: ${this.#reason ?? "not yet tried"}`
    return this.#fault(call, this.#short ? "overflow" : "upstream_connect", message)
  }

  #fault(call: Call, code: FaultCode, message: string): Fault {
    return { code, message, node: this.#context.node, service: call.service, sent: false }
  }
}
