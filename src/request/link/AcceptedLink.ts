/**
 * The serving end of a link: each exchange the peer opens becomes a call of the inbound stack,
 * in the name of the peer the handshake has proved.
 */
import { type HostCaller, hostCaller } from "../../model/Caller.ts"
import { contain, type OnDefect, uncontained } from "../../model/Defect.ts"
import type { Call, Dispatch, RequestHead } from "../../model/Exchange.ts"
import type { Fault, FaultCode } from "../../model/Fault.ts"
import { IdTable } from "../../model/IdTable.ts"
import { NodeName, type PeerKey, type ServiceName } from "../../model/Names.ts"
import { FrameType, frameLimits, ProtocolError } from "../wire/Frame.ts"
import { decodeOpening, encodeFault } from "../wire/FramePayload.ts"
import type { HeadCodec, LinkOptions, LinkStats } from "../wire/LinkOptions.ts"
import { LinkSections } from "../wire/LinkSections.ts"
import { LinkSession, type SessionHandler } from "../wire/LinkSession.ts"
import { ReceivedTargets } from "../wire/OpeningTargets.ts"
import { AcceptedExchange } from "./AcceptedExchange.ts"
import type { ExchangeHost } from "./ExchangeHost.ts"

export interface AcceptedLinkOptions extends LinkOptions {
  /** Where calls go. */
  readonly serve: Dispatch
  /** Whom calls speak for that say nothing of it. Default: a host called as its key. */
  readonly host?: HostCaller | undefined
  readonly onDown?: (cause: Error | undefined) => void
}

export class AcceptedLink implements SessionHandler, ExchangeHost {
  readonly remote: PeerKey
  readonly heads: HeadCodec
  readonly node: string
  readonly session: LinkSession
  readonly sections: LinkSections
  readonly #serve: Dispatch
  readonly #host: HostCaller
  readonly #targets: ReceivedTargets
  readonly #pastCircuits: boolean
  readonly #exchanges = new IdTable<AcceptedExchange>()
  readonly #onDown: (cause: Error | undefined) => void
  readonly #nameOf: ((peer: PeerKey) => string) | undefined
  readonly #onDefect: OnDefect
  /** The highest id opened so far. */
  #last = 0
  #draining = false
  /** The peer has said that it opens nothing more. */
  #peerDone = false

  constructor(options: AcceptedLinkOptions) {
    this.remote = options.remote
    this.heads = options.heads
    this.node = options.node
    this.#targets = new ReceivedTargets(options.speakers)
    this.#pastCircuits = options.pastCircuits === true
    this.#serve = options.serve
    this.#host = options.host ?? hostCaller(NodeName.make(options.remote))
    this.#onDown = options.onDown ?? (() => {})
    this.#nameOf = options.nameOf
    this.#onDefect = options.onDefect ?? uncontained
    this.session = new LinkSession(options, this, true)
    this.sections = new LinkSections(this.session.output)
  }

  stats(): LinkStats {
    const { bytesIn, output, rtt } = this.session
    return { exchanges: this.#exchanges.size, bytesIn, bytesOut: output.bytes, rtt }
  }

  /**
   * Asks the peer to open nothing more. What it opens before it has read this is served as usual;
   * when it has confirmed and all is done the link closes, so nothing is lost on the way.
   */
  drain(reason: string): void {
    if (this.#draining || !this.session.up) return
    this.#draining = true
    this.session.output.text(FrameType.goaway, 0, undefined, reason.slice(0, frameLimits.goaway))
    this.#closeWhenDone()
  }

  abort(error: Error): void {
    this.session.abort(error)
  }

  onFrame(type: FrameType, id: number, payload: Buffer): void {
    if (type === FrameType.open) {
      this.#onOpen(id, payload)
      return
    }
    if (type === FrameType.section) {
      this.sections.receive(id, payload)
      return
    }
    if (type === FrameType.data) this.session.received(payload.length)
    const exchange = this.#exchanges.get(id)
    if (exchange !== undefined) {
      exchange.onFrame(type, payload)
    } else if (id === 0 || id > this.#last) {
      throw new ProtocolError(`frame of type ${type} on exchange ${id}, which was never opened`)
    } else if (type === FrameType.data) {
      this.session.passed(payload.length) // the response was over before the request
    }
  }

  onGoaway(): void {
    this.#peerDone = true
    this.#closeWhenDone()
  }

  onDown(cause: Error | undefined): void {
    const why = cause === undefined ? "its node closed the link" : cause.message
    const message = `the link to the caller's node ${this.remoteName} is gone: ${why}`
    for (const exchange of this.#exchanges.values()) {
      exchange.cancel(this.fault("client_gone", message, exchange.service, true))
    }
    contain(this.#onDefect, "who hears of the state of a link", () => this.#onDown(cause))
  }

  onFailed(id: number, error: unknown): void {
    this.#exchanges.get(id)?.fail(error)
  }

  remove(id: number): void {
    this.#exchanges.delete(id)
    if (this.#peerDone) this.#closeWhenDone()
  }

  defect(error: unknown): void {
    this.#onDefect(error, "an exchange on a link")
  }

  fault(code: FaultCode, message: string, service: ServiceName, sent: boolean): Fault {
    return { code, message, node: this.node, service, sent }
  }

  get remoteName(): string {
    return this.#nameOf?.(this.remote) ?? this.remote
  }

  #onOpen(id: number, payload: Buffer): void {
    if (id <= this.#last) throw new ProtocolError(`exchange ${id} opened after ${this.#last}`)
    if (this.#peerDone) throw new ProtocolError(`exchange ${id} opened after goaway`)
    this.#last = id
    const opening = decodeOpening(payload, this.#targets.names, this.#pastCircuits)
    const { pastCircuit, service } = opening
    const most = this.session.limits.exchanges
    if (this.#exchanges.size >= most) {
      const message = `${most} exchanges are open on the link from ${this.remoteName}, its limit`
      this.#refuse(id, this.fault("overflow", message, service, false))
      return
    }
    const section = this.sections.of(opening.section)
    let head: RequestHead | undefined
    if (opening.kind === "http") {
      try {
        head = this.heads.decodeRequest(payload, opening.head, section)
      } catch (error) {
        const message = `unreadable request head on the link: ${error}`
        this.#refuse(id, this.fault("bad_request", message, service, false))
        return
      }
    }
    const { kind, endpoint, deadline, attempt, connectTimeout } = opening
    // Written out, in the order in which everybody makes calls: they all have one shape.
    const call: Call = {
      kind,
      service,
      head,
      endpoint,
      caller: this.remote,
      identity: opening.identity ?? this.#host,
      deadline,
      attempt,
      connectTimeout
    }
    const exchange = new AcceptedExchange(this, id, call)
    this.#exchanges.add(id, exchange)
    exchange.begin(this.#serve, pastCircuit ? { ...call, pastCircuit } : call)
  }

  #refuse(id: number, fault: Fault): void {
    this.session.output.frame(FrameType.reset, id, encodeFault(fault))
  }

  #closeWhenDone(): void {
    if (this.#peerDone && this.#exchanges.size === 0) this.session.close()
  }
}
