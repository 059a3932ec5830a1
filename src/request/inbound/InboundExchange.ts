/**
 * One call on its way through the endpoint's node: stands between caller and endpoint, counts what
 * passes, holds the deadline, and records the end exactly once.
 */
import type { OnDefect } from "../../model/Defect.ts"
import {
  type Call,
  type Fields,
  fieldValue,
  hasBody,
  type RequestStream,
  type ResponseHead,
  type ResponseReceiver
} from "../../model/Exchange.ts"
import type { Fault } from "../../model/Fault.ts"
import { readGrpcStatus } from "../../model/GrpcStatus.ts"
import {
  asTunnel,
  endRequest,
  endResponse,
  type Halves,
  isOver,
  isRequestEnded,
  openHalves
} from "../../model/Halves.ts"
import type { ExchangeObservation, Outcome } from "../../model/Observer.ts"
import { refuse } from "../../model/RefusedExchange.ts"
import type { Ticker } from "../../model/Time.ts"
import type { Timer } from "../../model/TimerWheel.ts"
import type { EndpointStream, EndpointTransport } from "./EndpointStream.ts"

export interface InboundExchangeOptions {
  readonly call: Call
  readonly receiver: ResponseReceiver
  readonly observation: ExchangeObservation
  /** Key of the endpoint, for the observation. */
  readonly endpoint: string
  readonly transport: EndpointTransport
  /** Where the program listens. */
  readonly port: number
  /** The program speaks gRPC. */
  readonly grpc?: boolean | undefined
  readonly ticker: Ticker
  /** Name of this node, for faults. */
  readonly node: string
  readonly onDefect: OnDefect
  /** Called once, when the exchange is over. */
  readonly onOver: () => void
}

const stallTimeout = 600_000

/** Where the observer throws. */
export const observing = "the observer of inbound exchanges"

export class InboundExchange implements ResponseReceiver, RequestStream {
  readonly #options: InboundExchangeOptions
  #receiver: ResponseReceiver | undefined
  readonly #upstream: EndpointStream
  /** The deadline; in a tunnel of which only the request's half is left, the wait for the program. */
  #timer: Timer | undefined
  #halves: Halves
  /** The program does not take what the caller has sent. */
  #stalled = false
  #status = 0
  /** What a response of gRPC has said of how the call went. */
  #grpcStatus: string | undefined = undefined
  #bytesIn = 0
  #bytesOut = 0

  constructor(options: InboundExchangeOptions) {
    const { call, ticker } = options
    this.#options = options
    this.#receiver = options.receiver
    this.#halves = openHalves(call.kind === "tcp")
    this.#timer =
      call.deadline === undefined ? undefined : ticker.after(call.deadline, () => this.#expire())
    // Rule 1: the endpoint calls this object only after the constructor has returned.
    this.#upstream = this.#open()
  }

  #open(): EndpointStream {
    const { call, endpoint, node, observation, onDefect, transport } = this.#options
    try {
      observation.endpoint(endpoint, node)
    } catch (error) {
      onDefect(error, observing)
    }
    try {
      return transport.open(call, observation.forwardFields, this)
    } catch (error) {
      onDefect(error, "an endpoint that was called")
      const message = `node ${node} failed inside as it called the program of ${call.service}`
      const { service } = call
      return refuse(this, { code: "upstream_reset", message, node, service, sent: true }, onDefect)
    }
  }

  get call(): Call {
    return this.#options.call
  }

  get port(): number {
    return this.#options.port
  }

  get isOver(): boolean {
    return this.#receiver === undefined
  }

  /** It may not go on. `refusal` is told whether the program may have seen some of it. */
  deny(refusal: (sent: boolean) => Fault): void {
    this.#break(refusal(this.#upstream.sent))
  }

  write(chunk: Uint8Array): boolean {
    if (this.#receiver === undefined) return true
    this.#bytesIn += chunk.length
    const more = this.#upstream.write(chunk)
    if (!more) this.#stalled = true
    return more
  }

  end(trailers: Fields): void {
    if (this.#receiver === undefined || isRequestEnded(this.#halves)) return
    this.#halves = endRequest(this.#halves)
    this.#upstream.end(trailers)
    if (isOver(this.#halves)) this.#finish(this.#completed)
  }

  cancel(fault: Fault): void {
    if (this.#receiver === undefined) return
    this.#finish({ kind: "fault", code: fault.code, message: fault.message })
    this.#upstream.cancel(fault)
  }

  resume(): void {
    if (this.#receiver !== undefined) this.#upstream.resume()
  }

  onInfo(head: ResponseHead): void {
    this.#receiver?.onInfo(head)
  }

  onHead(head: ResponseHead): void {
    if (this.#options.call.kind === "tcp") {
      this.#receiver?.onHead(head)
      return
    }
    this.#status = head.status
    if (this.#options.grpc === true) this.#grpcStatus = fieldValue(head.fields, "grpc-status")
    if (head.status === 101) {
      this.#halves = asTunnel(this.#halves)
      // The total timeout ends here, as it does at the caller's node.
      this.#timer?.cancel()
    }
    try {
      this.#options.observation.responded(head.status)
    } catch (error) {
      this.#options.onDefect(error, observing)
    }
    this.#receiver?.onHead(head)
  }

  onData(chunk: Uint8Array): boolean {
    this.#bytesOut += chunk.length
    return this.#receiver?.onData(chunk) ?? true
  }

  onEnd(trailers: Fields): void {
    this.#halves = endResponse(this.#halves)
    if (this.#options.grpc === true) {
      this.#grpcStatus = fieldValue(trailers, "grpc-status") ?? this.#grpcStatus
    }
    if (isOver(this.#halves)) {
      this.#finish(this.#completed)?.onEnd(trailers)
      return
    }
    this.#watchStall()
    this.#receiver?.onEnd(trailers)
  }

  get #completed(): Outcome {
    const grpc = this.#options.grpc === true ? readGrpcStatus(this.#grpcStatus) : undefined
    return { kind: "complete", status: this.#status, grpc }
  }

  onFault(fault: Fault): void {
    this.#finish({ kind: "fault", code: fault.code, message: fault.message })?.onFault(fault)
  }

  onWritable(): void {
    this.#stalled = false
    this.#receiver?.onWritable()
  }

  /**
   * The caller's idle limit ends with the caller's half, so it does not free a tunnel whose last
   * bytes the program never takes.
   */
  #watchStall(): void {
    const { call, node, ticker } = this.#options
    const before = this.#stalled ? this.#bytesIn : -1
    // A deadline, which only a peer's TCP call can have here.
    this.#timer?.cancel()
    this.#timer = ticker.after(stallTimeout, () => {
      if (!this.#stalled || this.#bytesIn !== before) return this.#watchStall()
      this.#break({
        code: "upstream_timeout",
        message: `the program of ${call.service} closed its half of the tunnel and took none of the caller's bytes for ${stallTimeout / 60_000} minutes`,
        node,
        service: call.service,
        sent: this.#upstream.sent
      })
    })
  }

  #expire(): void {
    const { call, node } = this.#options
    // The program has all that has come and takes more: it waits for the client, as we do.
    if (
      !isRequestEnded(this.#halves) &&
      !this.#stalled &&
      call.head !== undefined &&
      hasBody(call.head)
    ) {
      this.#break({
        code: "client_timeout",
        message: `the client had not sent all of its request to ${call.service} within the ${Math.round(call.deadline ?? 0)} ms that were left of the call's time (timeout.request or its caller's deadline, where the call came from)`,
        node,
        service: call.service,
        sent: this.#upstream.sent
      })
      return
    }
    const fault: Fault = {
      code: "upstream_timeout",
      message: `no ${this.#status === 0 ? "response" : "end of the response"} from ${call.service} within the ${Math.round(call.deadline ?? 0)} ms that were left of the call's time (timeout.request or its caller's deadline, where the call came from)`,
      node,
      service: call.service,
      sent: this.#upstream.sent
    }
    this.#break(fault)
  }

  /** Ends it from here, towards both sides. */
  #break(fault: Fault): void {
    const receiver = this.#finish({ kind: "fault", code: fault.code, message: fault.message })
    if (receiver === undefined) return
    this.#upstream.cancel(fault)
    receiver.onFault(fault)
  }

  /** Everything that must happen once. Gives the receiver that may be called one last time. */
  #finish(outcome: Outcome): ResponseReceiver | undefined {
    const receiver = this.#receiver
    if (receiver === undefined) return undefined
    this.#receiver = undefined
    this.#timer?.cancel()
    const { observation, onDefect, onOver } = this.#options
    try {
      observation.end(outcome, this.#bytesIn, this.#bytesOut)
    } catch (error) {
      onDefect(error, observing)
    }
    onOver()
    return receiver
  }
}
