/**
 * Further links to a peer, beside the one there always is: made when that one has as many exchanges
 * as it may, used while it has, and closed when nobody has needed them for a while. They run over
 * the same connection, so they are there within a round trip.
 */

import { contain } from "../../model/Defect.ts"
import type { Call, Dispatch, RequestStream, ResponseReceiver } from "../../model/Exchange.ts"
import type { Fault } from "../../model/Fault.ts"
import type { PeerKey } from "../../model/Names.ts"
import { reasonOf } from "../../model/Reason.ts"
import { refuse } from "../../model/RefusedExchange.ts"
import { defaultLinkLimits, type LinkStats } from "../wire/LinkOptions.ts"
import { DialedLink } from "./DialedLink.ts"
import { LinkRoom } from "./LinkRoom.ts"
import type { PeerLinkContext } from "./PeerLinkContext.ts"
import { WaitingExchange } from "./WaitingExchange.ts"

const waitingFor = "a call that waited for a link"

export class SpareLinks {
  readonly #peer: PeerKey
  readonly #context: PeerLinkContext
  readonly #addresses: () => ReadonlyArray<string>
  /** With when a call last began on each. */
  readonly #spares = new Map<LinkRoom, number>()
  readonly #waiting = new Set<WaitingExchange>()
  #attempt: AbortController | undefined = undefined
  /** After a failed attempt none is made before this. */
  #notBefore = 0
  /** Why the last attempt failed. */
  #reason = ""

  constructor(peer: PeerKey, context: PeerLinkContext, addresses: () => ReadonlyArray<string>) {
    this.#peer = peer
    this.#context = context
    this.#addresses = addresses
  }

  get inUse(): boolean {
    return this.#spares.size > 0 || this.#waiting.size > 0 || this.#attempt !== undefined
  }

  stats(): ReadonlyArray<LinkStats> {
    return Array.from(this.#spares.keys(), ({ link }) => link.stats())
  }

  readonly dispatch: Dispatch = (call, receiver) => {
    const now = this.#context.ticker.now()
    for (const spare of this.#spares.keys()) {
      if (!spare.link.available || !spare.take()) continue
      this.#spares.set(spare, now)
      return spare.link.open(call, receiver)
    }
    return this.#wait(call, receiver, now)
  }

  closeIfUnused(): void {
    const { ticker, limits } = this.#context
    for (const [{ link }, lastUsed] of this.#spares) {
      if (link.stats().exchanges > 0 || ticker.now() - lastUsed <= limits.idleAfter) continue
      link.drain("unused")
    }
  }

  /** Ends everything, for good. */
  stop(reason: Error): void {
    this.#notBefore = Number.POSITIVE_INFINITY
    this.#attempt?.abort(reason)
    for (const { link } of [...this.#spares.keys()]) link.abort(reason)
    this.#failWaiting(reason.message)
  }

  #wait(call: Call, receiver: ResponseReceiver, now: number): RequestStream {
    const { limits, ticker } = this.#context
    // With the one there always is. Those that are being closed count: they still hold memory.
    if (this.#spares.size + 1 >= limits.links) {
      return this.#refuse(call, receiver, `the most are ${limits.links}`)
    }
    if (now < this.#notBefore) return this.#refuse(call, receiver, this.#reason)
    if (this.#waiting.size >= limits.waiting) {
      return this.#refuse(call, receiver, `${limits.waiting} wait for another link`)
    }
    const exchange = new WaitingExchange(call, now, receiver, () => this.#waiting.delete(exchange))
    this.#waiting.add(exchange)
    const patience = call.connectTimeout ?? limits.connectTimeout
    exchange.timer = ticker.after(patience, () => {
      this.#waiting.delete(exchange)
      exchange.fail(this.#overflow(call, `no further link within ${patience} ms`))
    })
    this.#dial()
    return exchange
  }

  #refuse(call: Call, receiver: ResponseReceiver, why: string): RequestStream {
    return refuse(receiver, this.#overflow(call, why), this.#context.linkOptions.onDefect)
  }

  #dial(): void {
    if (this.#attempt !== undefined) return
    const { transport, ticker, limits, linkOptions, node } = this.#context
    const attempt = new AbortController()
    this.#attempt = attempt
    const timer = ticker.after(limits.dialTimeout, () =>
      attempt.abort(new Error(`no answer within ${limits.dialTimeout} ms`))
    )
    transport
      .open(this.#peer, "/skein/link/2", this.#addresses(), attempt.signal)
      .then(
        (channel) => {
          timer.cancel()
          this.#attempt = undefined
          if (attempt.signal.aborted) {
            channel.abort(new Error("it is not wanted any more"))
            this.#onFailed(reasonOf(attempt.signal.reason))
            return
          }
          this.#onUp(new DialedLink({ ...linkOptions, channel, ticker, node, remote: this.#peer }))
        },
        (error: unknown) => {
          timer.cancel()
          this.#attempt = undefined
          this.#onFailed(reasonOf(attempt.signal.aborted ? attempt.signal.reason : error))
        }
      )
      .catch((error: unknown) => linkOptions.onDefect(error, "a new link"))
  }

  #onUp(link: DialedLink): void {
    const now = this.#context.ticker.now()
    const spare = new LinkRoom(link)
    this.#spares.set(spare, now)
    link.events = {
      onDraining: () => undefined,
      onDown: () => void this.#spares.delete(spare)
    }
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    // More than one link takes may have waited; the rest goes on waiting, for the next.
    const { node, linkOptions } = this.#context
    for (const exchange of waiting) {
      contain(linkOptions.onDefect, waitingFor, () =>
        exchange.begin(this.dispatch, now, ({ service }, error) => {
          linkOptions.onDefect(error, waitingFor)
          const message = `the node ${node} failed inside as the call began`
          return { code: "upstream_reset", message, node, service, sent: false }
        })
      )
    }
  }

  #onFailed(reason: string): void {
    const { ticker, limits } = this.#context
    this.#notBefore = Math.max(this.#notBefore, ticker.now() + limits.basePause)
    this.#failWaiting(reason)
  }

  #failWaiting(reason: string): void {
    this.#reason = reason
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    const { onDefect } = this.#context.linkOptions
    for (const exchange of waiting) {
      contain(onDefect, waitingFor, () => exchange.fail(this.#overflow(exchange.call, reason)))
    }
  }

  #overflow(call: Call, why: string): Fault {
    const { node, linkOptions } = this.#context
    const most = linkOptions.limits?.exchanges ?? defaultLinkLimits.exchanges
    const name = linkOptions.nameOf?.(this.#peer) ?? this.#peer
    const message = `${most} exchanges are open on each link to ${name}, the limit, and there is no further one: ${why}`
    return { code: "overflow", message, node, service: call.service, sent: false }
  }
}
