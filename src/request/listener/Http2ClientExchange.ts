/**
 * One request of a client on a stream of HTTP/2: the call's receiver, and the stream's owner. What is
 * on the wire never claims more than was received: a response that breaks off is reset.
 */
import {
  type Call,
  type Dispatch,
  type Fields,
  noFields,
  type RequestHead,
  type RequestStream,
  type ResponseHead,
  type ResponseReceiver
} from "../../model/Exchange.ts"
import type { Fault } from "../../model/Fault.ts"
import {
  asTunnel,
  endRequest,
  endResponse,
  isOver,
  isTunnel,
  openHalves
} from "../../model/Halves.ts"
import { interimToSend, responseToSend, statusField } from "../http2/HeadToSend.ts"
import { Http2Code } from "../http2/Http2Error.ts"
import type { Http2Stream, StreamOwner, StreamReset } from "../http2/Http2Stream.ts"
import { type ExtendedConnect, withoutProofs } from "./ExtendedConnect.ts"
import { faultAnswer, ownHead } from "./FaultResponse.ts"
import type { OwnAnswer } from "./FinalRecipient.ts"
import { grpcTrailers, isGrpcCall } from "./GrpcAnswer.ts"

/** The connection, as its exchanges see it. */
export interface StreamsOwner {
  /** IMF-fixdate of now. */
  readonly date: string
  /** Name of this node, for faults. */
  readonly node: string
  onTunnelFault(fault: Fault): void
}

const noLimit = Number.POSITIVE_INFINITY

export class Http2ClientExchange implements ResponseReceiver, StreamOwner {
  readonly #stream: Http2Stream
  /** Undefined: what came is none. */
  readonly #head: RequestHead | undefined
  readonly #owner: StreamsOwner
  /** Undefined before dispatch has returned, and when the exchange is over. */
  #upstream: RequestStream | undefined = undefined
  #over = false
  #headSent = false
  /** Of a response whose length is known: bytes still to come. */
  #left = noLimit
  #halves = openHalves(false)
  /** It is to be a WebSocket; undefined: it is not, or it is one already. */
  #connect: ExtendedConnect | undefined

  constructor(
    stream: Http2Stream,
    head: RequestHead | undefined,
    owner: StreamsOwner,
    connect?: ExtendedConnect
  ) {
    this.#connect = connect
    this.#stream = stream
    this.#head = head
    this.#owner = owner
    stream.owner = this
  }

  start(call: Call, dispatch: Dispatch): void {
    this.#upstream = dispatch(call, this)
  }

  // ── The client ──────────────────────────────────────────────────────────────────────────────

  onStreamData(chunk: Uint8Array): boolean {
    if (this.#connect !== undefined) {
      if (this.#connect.refused) return true
      this.#connect.held.push(chunk)
      return false
    }
    return this.#upstream?.write(chunk) ?? true
  }

  onStreamEnd(trailers: Fields): void {
    if (this.#connect !== undefined) {
      this.#connect.ended = true
      return
    }
    this.#halves = endRequest(this.#halves)
    this.#upstream?.end(trailers)
    if (isOver(this.#halves)) this.#finish()
  }

  onStreamReset({ code, why }: StreamReset): void {
    if (this.#over) return
    const upstream = this.#upstream
    this.#finish()
    const { node } = this.#owner
    const message = code === Http2Code.cancel ? "the client cancelled the call" : `client: ${why}`
    upstream?.cancel({ code: "client_gone", message, node, service: undefined, sent: true })
  }

  onStreamRoom(): void {
    this.#upstream?.resume()
  }

  // ── The call ────────────────────────────────────────────────────────────────────────────────

  onInfo(head: ResponseHead): void {
    if (!this.#over && !this.#headSent) this.#stream.inform(interimToSend(head))
  }

  onHead(head: ResponseHead): void {
    if (this.#over) return
    const { framing, status } = head
    if (this.#connect !== undefined && status < 300) {
      this.#switched(this.#connect, head)
      return
    }
    if (status === 101) {
      this.#giveUp("the endpoint switched protocols unasked")
      return
    }
    if (this.#connect !== undefined) this.#noTunnel()
    const method = this.#head?.method ?? "GET"
    if (method === "CONNECT" && status === 200) {
      this.#halves = asTunnel(this.#halves)
      this.#begin({ pseudo: statusField(status), fields: noFields, more: noFields })
      return
    }
    this.#begin(responseToSend(head, method === "HEAD", this.#owner.date))
    if (method === "HEAD" || status === 204 || status === 304) this.#left = 0
    else if (framing.kind === "length") this.#left = framing.length
  }

  #switched(connect: ExtendedConnect, head: ResponseHead): void {
    const objection = connect.objection(head)
    if (objection !== undefined) {
      this.#giveUp(`the endpoint ${objection}`)
      return
    }
    this.#connect = undefined
    this.#halves = asTunnel(this.#halves)
    this.#begin({ pseudo: statusField(200), fields: withoutProofs(head.fields), more: noFields })
    let room = true
    for (const chunk of connect.held) room = this.#upstream?.write(chunk) ?? true
    if (connect.ended) this.onStreamEnd(noFields)
    else if (room) this.#stream.resume()
  }

  /** No tunnel comes of it, and what the client still sends is nobody's. */
  #noTunnel(): void {
    this.#stream.tunnel = false
    if (this.#connect !== undefined) this.#connect.refused = true
  }

  onData(chunk: Uint8Array): boolean {
    if (this.#over) return true
    this.#left -= chunk.length
    if (this.#left >= 0) return this.#stream.write(chunk)
    this.#giveUp("the response is longer than its head says")
    return true
  }

  onEnd(trailers: Fields): void {
    if (this.#over) return
    if (this.#left > 0 && this.#left !== noLimit) {
      this.#giveUp("the response is shorter than its head says")
      return
    }
    this.#halves = endResponse(this.#halves)
    if (isOver(this.#halves)) this.#finish()
    this.#stream.end(trailers)
  }

  onWritable(): void {
    this.#stream.resume()
  }

  onFault(fault: Fault): void {
    if (this.#over) return
    if (!this.#headSent) {
      this.answer(fault)
      return
    }
    this.#finish()
    if (isTunnel(this.#halves)) {
      this.#owner.onTunnelFault(fault)
      this.#stream.reset(Http2Code.connect)
    }
    // Of an answer of gRPC that has begun, the end can still say why it is one.
    else if (this.#isGrpc) this.#stream.end(grpcTrailers(fault))
    else this.#stream.reset(Http2Code.internal)
  }

  /** The mesh's own answer; nothing was answered yet. */
  answer(answer: Fault | OwnAnswer): void {
    this.#finish()
    this.#noTunnel()
    const { date, node } = this.#owner
    if ("code" in answer && answer.code === "client_gone") {
      this.#stream.reset(Http2Code.cancel)
      return
    }
    if ("code" in answer && this.#isGrpc) {
      const fields = ["content-type", "application/grpc", ...grpcTrailers(answer)]
      this.#begin({ pseudo: statusField(200), fields, more: ["date", date] })
      this.#stream.end(noFields)
      return
    }
    const isHead = this.#head?.method === "HEAD"
    const { body, head } =
      "code" in answer ? faultAnswer(answer) : { body: answer.body, head: ownHead(answer, node) }
    this.#begin(responseToSend(head, isHead, date))
    if (!isHead && body !== "")
      this.#stream.write(Buffer.from(body, "code" in answer ? "utf8" : "latin1"))
    this.#stream.end(noFields)
  }

  get #isGrpc(): boolean {
    return this.#head !== undefined && isGrpcCall(this.#head)
  }

  #begin(head: Parameters<Http2Stream["begin"]>[0]): void {
    this.#headSent = true
    this.#stream.answered = true
    this.#stream.begin(head)
  }

  /** The endpoint's side has broken the rules. */
  #giveUp(message: string): void {
    const { node } = this.#owner
    const fault: Fault = { code: "upstream_reset", message, node, service: undefined, sent: true }
    this.#upstream?.cancel(fault)
    this.onFault(fault)
  }

  #finish(): void {
    this.#over = true
    this.#upstream = undefined
  }
}
