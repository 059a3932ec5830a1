/**
 * One call of gRPC-Web between the listener, which speaks it to its client, and the mesh, which is spoken to
 * in gRPC: both sides of Exchange.ts. Bytes pass through; what is added is the end of the answer.
 */
import {
  type Dispatch,
  type Fields,
  noFields,
  type RequestStream,
  type ResponseHead,
  type ResponseReceiver
} from "../../model/Exchange.ts"
import type { Fault } from "../../model/Fault.ts"
import { Base64Reader, base64Of } from "./Base64Body.ts"
import { grpcTrailers } from "./GrpcAnswer.ts"
import { GrpcFrames } from "./GrpcFrames.ts"
import { grpcRequest, trailersMessage, type WebCall, webAnswer, webFaultHead } from "./GrpcWeb.ts"

/** What a listener dispatches a call to. `node`: the name of this one, for faults. */
export const asGrpc =
  (dispatch: Dispatch, web: WebCall, node: string): Dispatch =>
  (call, receiver) => {
    const exchange = new GrpcWebExchange(web, node, receiver)
    const { head } = call
    exchange.stream = dispatch(
      head === undefined ? call : { ...call, head: grpcRequest(head, web) },
      exchange
    )
    return exchange
  }

class GrpcWebExchange implements ResponseReceiver, RequestStream {
  /** Undefined before dispatch has returned, and when the exchange is over. */
  stream: RequestStream | undefined = undefined
  readonly #web: WebCall
  readonly #node: string
  readonly #reader: Base64Reader | undefined
  /** Undefined: of its answer there is nothing more to tell. */
  #receiver: ResponseReceiver | undefined
  /** Of the answer; undefined: its head is not here, or it is none of gRPC. */
  #frames: GrpcFrames | undefined = undefined
  #headSent = false
  #trailers: Fields = noFields

  constructor(web: WebCall, node: string, receiver: ResponseReceiver) {
    this.#web = web
    this.#node = node
    this.#receiver = receiver
    this.#reader = web.textIn ? new Base64Reader() : undefined
  }

  // ── The client ──────────────────────────────────────────────────────────────────────────────

  write(chunk: Uint8Array): boolean {
    const { stream } = this
    if (stream === undefined) return true
    if (this.#reader === undefined) return stream.write(chunk)
    const bytes = this.#reader.read(chunk)
    if (bytes !== undefined) return bytes.length === 0 || stream.write(bytes)
    this.#refuse("the body is no base64, as application/grpc-web-text has to be")
    return true
  }

  end(trailers: Fields): void {
    if (this.#reader?.whole === false) this.#refuse("the body ends within a group of base64")
    else this.stream?.end(trailers)
  }

  cancel(fault: Fault): void {
    const { stream } = this
    this.#finish()
    stream?.cancel(fault)
  }

  resume(): void {
    this.stream?.resume()
  }

  // ── The mesh ────────────────────────────────────────────────────────────────────────────────

  onInfo(head: ResponseHead): void {
    this.#receiver?.onInfo(head)
  }

  onHead(head: ResponseHead): void {
    const answer = webAnswer(head, this.#web)
    this.#headSent = true
    this.#trailers = answer.trailers
    if (answer.isGrpc) this.#frames = new GrpcFrames()
    this.#receiver?.onHead(answer.head)
  }

  onData(chunk: Uint8Array): boolean {
    if (this.#frames === undefined) return this.#receiver?.onData(chunk) ?? true
    this.#frames.feed(chunk)
    const bytes = this.#web.textOut ? base64Of(chunk) : chunk
    return this.#receiver?.onData(bytes) ?? true
  }

  onEnd(trailers: Fields): void {
    if (this.#frames === undefined) this.#finish()?.onEnd(trailers)
    else if (this.#frames.between) this.#end([...this.#trailers, ...trailers])
    else this.onFault(this.#fault("upstream_reset", "the answer ends within a message"))
  }

  onFault(fault: Fault): void {
    // What of a message has come would be read together with what we say.
    const isSayable = this.#headSent ? this.#frames?.between === true : fault.code !== "client_gone"
    if (!isSayable) {
      this.#finish()?.onFault(fault)
      return
    }
    if (!this.#headSent) this.#receiver?.onHead(webFaultHead(this.#web))
    this.#end(grpcTrailers(fault))
  }

  onWritable(): void {
    this.#receiver?.onWritable()
  }

  #end(trailers: Fields): void {
    const receiver = this.#finish()
    receiver?.onData(trailersMessage(trailers, this.#web))
    receiver?.onEnd(noFields)
  }

  /** The client broke the rules of its body. */
  #refuse(message: string): void {
    const fault = this.#fault("bad_request", message)
    const { stream } = this
    this.stream = undefined
    stream?.cancel(fault)
    // In a microtask, like every fault that is known while the client's side is still calling.
    queueMicrotask(() => this.onFault(fault))
  }

  #fault(code: Fault["code"], message: string): Fault {
    return { code, message, node: this.#node, service: undefined, sent: true }
  }

  #finish(): ResponseReceiver | undefined {
    const receiver = this.#receiver
    this.#receiver = undefined
    this.stream = undefined
    return receiver
  }
}
