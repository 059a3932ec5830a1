/**
 * One request of a client: the call's receiver, which writes the response to the client's socket.
 * What is on the wire never claims more than was received: a response that breaks off is cut off.
 */
import type net from "node:net"
import type {
  Call,
  Dispatch,
  Fields,
  RequestStream,
  ResponseHead,
  ResponseReceiver
} from "../../model/Exchange.ts"
import type { Fault } from "../../model/Fault.ts"
import {
  asTunnel,
  endRequest,
  endResponse,
  isOver,
  isResponseEnded,
  isTunnel,
  openHalves
} from "../../model/Halves.ts"
import {
  type BodyCoding,
  encodeResponseHead,
  lastChunk,
  mustClose,
  responseBodyCoding
} from "../http1/Encode.ts"
import type { MessageWriter } from "../http1/MessageWriter.ts"
import type { ParsedRequest } from "../http1/RequestReader.ts"
import { writeAnswer } from "./FaultResponse.ts"
import type { OwnAnswer } from "./FinalRecipient.ts"

/** The connection, as its exchange sees it. */
export interface ExchangeOwner {
  /** May the connection live on after this response? Asked when its head is written. */
  readonly mayKeepAlive: boolean
  /** IMF-fixdate of now. */
  readonly date: string
  /** Name of this node, for faults. */
  readonly node: string
  /** The response switched protocols: what the client sends from now on is the tunnel's. */
  onSwitched(): void
  onWritable(): void
  /** The response is written; false: the connection must not carry another. */
  onFinished(keepAlive: boolean): void
  /** The response broke off, or its end could not be told from a whole one. */
  onTruncated(withReset: boolean): void
  /** Of a tunnel, before `onTruncated`: why. */
  onTunnelFault(fault: Fault): void
}

export class ClientExchange implements ResponseReceiver {
  readonly #socket: net.Socket
  readonly #request: ParsedRequest
  readonly #owner: ExchangeOwner
  readonly #writer: MessageWriter
  /** Undefined before dispatch has returned, and when the exchange is over. */
  #stream: RequestStream | undefined = undefined
  #over = false
  /** Undefined before the head was written. */
  #coding: BodyCoding | undefined = undefined
  #keepAlive = false
  /** Of a response with a length: bytes still to come. */
  #left = 0
  /** The client was told to go on with its body (100). */
  continued = false
  /** `onData` returned false and the callee was not told yet that there is room. */
  #stalled = false
  #halves = openHalves(false)

  constructor(
    socket: net.Socket,
    request: ParsedRequest,
    owner: ExchangeOwner,
    writer: MessageWriter
  ) {
    this.#socket = socket
    this.#request = request
    this.#owner = owner
    this.#writer = writer
  }

  start(call: Call, dispatch: Dispatch): void {
    this.#stream = dispatch(call, this)
  }

  write(chunk: Uint8Array): boolean {
    return this.#stream?.write(chunk) ?? true
  }

  end(trailers: Fields): void {
    this.#halves = endRequest(this.#halves)
    this.#stream?.end(trailers)
    if (this.#over || !isOver(this.#halves)) return
    this.#finish()
    this.#owner.onFinished(false)
  }

  /** The client is gone or broke the rules. */
  cancel(fault: Fault): void {
    const stream = this.#stream
    this.#over = true
    this.#stream = undefined
    this.#writer.drop()
    stream?.cancel(fault)
  }

  /** The client's socket takes more again. */
  onDrain(): void {
    if (!this.#stalled) return
    this.#stalled = false
    this.#stream?.resume()
  }

  get headWritten(): boolean {
    return this.#coding !== undefined
  }

  onInfo(head: ResponseHead): void {
    // HTTP/1.0 clients do not know 1xx (RFC 9110 §15.2).
    if (this.#request.version === 0 || this.#over) return
    if (head.status === 100) this.continued = true
    const { method } = this.#request.head
    this.#socket.write(encodeResponseHead(head, { method, version: 1, keepAlive: true }), "latin1")
  }

  onHead(head: ResponseHead): void {
    if (this.#over) return
    const { method } = this.#request.head
    const { version } = this.#request
    if (head.status === 101 && this.#request.head.upgrade === undefined) {
      this.#cutOff(this.#foreignSwitch())
      return
    }
    const coding = responseBodyCoding(head, method, version)
    this.#coding = coding
    this.#keepAlive = this.#request.keepAlive && this.#owner.mayKeepAlive && !mustClose(coding)
    this.#left = coding === "length" && head.framing.kind === "length" ? head.framing.length : 0
    const text = encodeResponseHead(head, {
      method,
      version,
      keepAlive: this.#keepAlive,
      date: this.#owner.date
    })
    if (coding === "none" || (coding === "length" && this.#left === 0)) this.#writer.head(text)
    else if (coding === "length") this.#writer.headOfContent(text)
    else this.#writer.headOfMore(text)
    if (coding !== "tunnel") return
    this.#halves = asTunnel(this.#halves)
    this.#owner.onSwitched()
  }

  onData(chunk: Uint8Array): boolean {
    if (this.#over) return true
    const room = this.#writeBody(chunk)
    if (!room) this.#stalled = true
    return room
  }

  onEnd(trailers: Fields): void {
    if (this.#over) return
    if (this.#coding === "length" && this.#left > 0) {
      this.#cutOff(undefined)
      return
    }
    this.#halves = endResponse(this.#halves)
    if (!isOver(this.#halves)) {
      this.#socket.end() // the client's half goes on
      return
    }
    this.#finish()
    if (this.#coding === "chunked") this.#socket.write(lastChunk(trailers), "latin1")
    this.#owner.onFinished(this.#keepAlive)
  }

  onFault(fault: Fault): void {
    if (!this.#over) this.#cutOff(fault)
  }

  onWritable(): void {
    if (!this.#over) this.#owner.onWritable()
  }

  /** The mesh's own answer; nothing was answered yet. */
  answer(answer: Fault | OwnAnswer): void {
    this.#finish()
    this.#coding = "length"
    const { head, version } = this.#request
    // Of a refused CONNECT, what a hasty client has sent ahead into its tunnel is no request. And a
    // client that was too slow is not waited for any longer (RFC 9110 §15.5.9).
    const last = head.method === "CONNECT" || ("code" in answer && answer.code === "client_timeout")
    const keepAlive = this.#request.keepAlive && this.#owner.mayKeepAlive && !last
    const { date, node } = this.#owner
    const options = { method: head.method, version, keepAlive, date }
    this.#socket.write(writeAnswer(answer, node, options))
    this.#owner.onFinished(keepAlive)
  }

  #writeBody(chunk: Uint8Array): boolean {
    switch (this.#coding) {
      case "chunked":
        return chunk.length === 0 ? !this.#stalled : this.#writer.chunk(chunk)
      case "length":
        this.#left -= chunk.length
        // More than was announced would be read as the next response.
        if (this.#left < 0) {
          this.#stream?.cancel(this.#tooLong())
          this.#cutOff(undefined)
          return true
        }
        return this.#writer.content(chunk)
      case "until_close":
      case "tunnel":
        return this.#writer.content(chunk)
      default:
        return true
    }
  }

  /** `fault` is what answers if no head was written yet. */
  #cutOff(fault: Fault | undefined): void {
    if (this.#coding === undefined && fault !== undefined && fault.code !== "client_gone") {
      this.answer(fault)
      return
    }
    this.#finish()
    this.#writer.flush()
    if (isTunnel(this.#halves) && fault !== undefined) this.#owner.onTunnelFault(fault)
    // With length and chunks the client sees what is missing. Where closing is the end, only a
    // reset tells that it was not meant.
    this.#owner.onTruncated(
      this.#coding === "until_close" || (isTunnel(this.#halves) && !isResponseEnded(this.#halves))
    )
  }

  #finish(): void {
    this.#over = true
    this.#stream = undefined
  }

  #tooLong(): Fault {
    return this.#protocolFault("the response is longer than its head says")
  }

  #foreignSwitch(): Fault {
    const fault = this.#protocolFault("the endpoint switched protocols unasked")
    this.#stream?.cancel(fault)
    return fault
  }

  #protocolFault(message: string): Fault {
    return {
      code: "upstream_reset",
      message,
      node: this.#owner.node,
      service: undefined,
      sent: true
    }
  }
}
