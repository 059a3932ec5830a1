/**
 * The calling end of a link: the node that opened the channel opens the exchanges. `open` is a
 * `Dispatch`; what the peer's end does with a call is in `AcceptedLink`.
 */

import type { Caller } from "../../model/Caller.ts"
import { contain, type OnDefect, uncontained } from "../../model/Defect.ts"
import type { Call, Dispatch } from "../../model/Exchange.ts"
import type { Fault, FaultCode } from "../../model/Fault.ts"
import { IdTable } from "../../model/IdTable.ts"
import type { PeerKey, ServiceName } from "../../model/Names.ts"
import { refuse } from "../../model/RefusedExchange.ts"
import { sectionOf } from "../http1/FieldSection.ts"
import { FrameType, frameLimits, ProtocolError } from "../wire/Frame.ts"
import { isLatin1, markPast } from "../wire/FramePayload.ts"
import type { HeadCodec, LinkOptions, LinkStats } from "../wire/LinkOptions.ts"
import { LinkSections } from "../wire/LinkSections.ts"
import { LinkSession, type SessionHandler } from "../wire/LinkSession.ts"
import { SentTargets } from "../wire/OpeningTargets.ts"
import { DialedExchange } from "./DialedExchange.ts"
import type { ExchangeHost } from "./ExchangeHost.ts"

export interface DialedLinkEvents {
  /** The peer, or this end, takes nothing new on this link; what runs goes on. */
  onDraining(reason: string): void
  /** The link is gone; every exchange on it has had its fault. */
  onDown(cause: Error | undefined): void
}

/** Where the events' owner throws. */
const hearing = "who hears of the state of a link"

/** Ids are never used twice on a link; one that has used them up is replaced. */
const lastExchange = 0xffff_ffff

export class DialedLink implements SessionHandler, ExchangeHost {
  readonly remote: PeerKey
  readonly heads: HeadCodec
  readonly node: string
  readonly session: LinkSession
  readonly sections: LinkSections
  events: DialedLinkEvents | undefined = undefined
  readonly #targets = new SentTargets()
  readonly #carriesIdentity: boolean
  readonly #tellsHosts: boolean
  readonly #pastCircuits: boolean
  readonly #exchanges = new IdTable<DialedExchange>()
  readonly #nameOf: ((peer: PeerKey) => string) | undefined
  readonly #onDefect: OnDefect
  #next = 1
  #draining = false

  constructor(options: LinkOptions) {
    this.remote = options.remote
    this.heads = options.heads
    this.node = options.node
    this.#carriesIdentity = options.channel.carriesIdentity === true
    this.#tellsHosts = options.speakers === "all"
    this.#pastCircuits = options.pastCircuits === true
    this.#nameOf = options.nameOf
    this.#onDefect = options.onDefect ?? uncontained
    this.session = new LinkSession(options, this, false)
    this.sections = new LinkSections(this.session.output)
  }

  /** For people: it may be known only some time after the link is made. */
  get remoteName(): string {
    return this.#nameOf?.(this.remote) ?? this.remote
  }

  /** Whether `open` would carry a call. */
  get available(): boolean {
    return this.session.up && !this.#draining
  }

  get state(): "up" | "draining" | "down" {
    return this.session.up ? (this.#draining ? "draining" : "up") : "down"
  }

  stats(): LinkStats {
    const { bytesIn, output, rtt } = this.session
    return { exchanges: this.#exchanges.size, bytesIn, bytesOut: output.bytes, rtt }
  }

  readonly open: Dispatch = (call, receiver) => {
    const fault = this.#refusal(call)
    if (fault !== undefined) return refuse(receiver, fault, this.#onDefect)
    let text = ""
    let number = 0
    if (call.head !== undefined) {
      const section = sectionOf(call.head.fields)
      if (section !== undefined) number = this.sections.numberOf(section)
      text = this.heads.encodeRequest(call.head, number === 0 ? undefined : section)
      if (text.length > frameLimits.head) {
        const most = `at most ${frameLimits.head} bytes cross a link`
        const message = `the request's head has ${text.length} bytes; ${most}`
        return refuse(
          receiver,
          this.fault("head_too_large", message, call.service, false),
          this.#onDefect
        )
      }
      if (!isLatin1(text)) {
        const message = "the request's head has characters that HTTP/1.1 cannot carry"
        return refuse(
          receiver,
          this.fault("bad_request", message, call.service, false),
          this.#onDefect
        )
      }
    }
    const exchange = new DialedExchange(this, this.#next++, call, receiver)
    this.#exchanges.add(exchange.id, exchange)
    const opening = this.#targets.opening(call, number, this.#speaker(call))
    if (this.#pastCircuits && call.pastCircuit === true) markPast(opening)
    this.session.output.text(FrameType.open, exchange.id, opening, text)
    return exchange
  }

  /** Opens nothing more; closes when what runs has ended. */
  drain(reason: string): void {
    if (this.#draining || !this.session.up) return
    this.#draining = true
    this.session.output.text(FrameType.goaway, 0, undefined, reason.slice(0, frameLimits.goaway))
    contain(this.#onDefect, hearing, () => this.events?.onDraining(reason))
    this.#closeWhenDone()
  }

  abort(error: Error): void {
    this.session.abort(error)
  }

  onFrame(type: FrameType, id: number, payload: Buffer): void {
    if (type === FrameType.section) {
      this.sections.receive(id, payload)
      return
    }
    const exchange = this.#exchanges.get(id)
    if (type === FrameType.data) this.session.received(payload.length)
    if (exchange !== undefined) {
      exchange.onFrame(type, payload)
    } else if (id === 0 || id >= this.#next) {
      throw new ProtocolError(`frame of type ${type} on exchange ${id}, which was never opened`)
    } else if (type === FrameType.data) {
      this.session.passed(payload.length) // sent before our reset arrived
    }
  }

  onGoaway(reason: string): void {
    this.drain(reason)
  }

  onDown(cause: Error | undefined): void {
    const why = cause === undefined ? "the peer closed it" : cause.message
    // Told first, so that what is retried because of these faults goes to another node.
    contain(this.#onDefect, hearing, () => this.events?.onDown(cause))
    for (const exchange of this.#exchanges.values()) exchange.onLinkDown(why)
  }

  onFailed(id: number, error: unknown): void {
    this.#exchanges.get(id)?.fail(error)
  }

  remove(id: number): void {
    this.#exchanges.delete(id)
    if (this.#draining) this.#closeWhenDone()
  }

  defect(error: unknown): void {
    this.#onDefect(error, "an exchange on a link")
  }

  fault(code: FaultCode, message: string, service: ServiceName, sent: boolean): Fault {
    return { code, message, node: this.node, service, sent }
  }

  /** Undefined: the calling host itself, which nobody has to be told. */
  #speaker({ identity }: Call): Caller | undefined {
    const isTold = identity.kind === "service" || this.#tellsHosts
    return this.#carriesIdentity && isTold ? identity : undefined
  }

  #refusal(call: Call): Fault | undefined {
    if (!this.session.up) {
      const message = `the link to ${this.remoteName} is down`
      return this.fault("upstream_connect", message, call.service, false)
    }
    if (this.#draining) {
      const message = `the link to ${this.remoteName} takes nothing new`
      return this.fault("draining", message, call.service, false)
    }
    const most = this.session.limits.exchanges
    if (this.#exchanges.size >= most) {
      const message = `${most} exchanges are open on the link to ${this.remoteName}, its limit`
      return this.fault("overflow", message, call.service, false)
    }
    if (this.session.output.congested) {
      const message = `the node ${this.remoteName} does not read what was already sent`
      return this.fault("overflow", message, call.service, false)
    }
    if (this.#next === lastExchange) {
      this.drain("exchange ids are used up")
      const message = "the link is being replaced: its exchange ids are used up"
      return this.fault("upstream_connect", message, call.service, false)
    }
    return undefined
  }

  #closeWhenDone(): void {
    if (this.#exchanges.size === 0) this.session.close()
  }
}
