/**
 * A program that serves without a port as an endpoint: it has no connections that could be counted or run out. One that is
 * attached may have no link to this thread yet, which has just begun: calls wait for it as for a connection.
 */
import type { OnDefect } from "../../model/Defect.ts"
import type {
  Call,
  Dispatch,
  Fields,
  RequestStream,
  ResponseReceiver
} from "../../model/Exchange.ts"
import type { Fault } from "../../model/Fault.ts"
import type { ServiceName } from "../../model/Names.ts"
import { refuse } from "../../model/RefusedExchange.ts"
import type { Ticker } from "../../model/Time.ts"
import type { EndpointStream, EndpointTransport } from "./EndpointStream.ts"
import { HeldStream } from "./HeldStream.ts"
import type { Places } from "./Places.ts"

export interface ProgramEndpointOptions {
  readonly service: ServiceName
  /** Name of this node, for faults. */
  readonly node: string
  /** Who serves it; undefined: nobody any more. */
  readonly program: () => Dispatch | undefined
  /** Of one that may be reached in a moment. Default: what cannot be reached now never can. */
  readonly awaited?: AwaitedProgram | undefined
  readonly ticker: Ticker
  /** Of a call that brings no limit of its own, ms. */
  readonly connectTimeout: number
  /** Of exchanges that run on it: the one that is just being opened has taken its own, whether there was one or not. */
  readonly places: Places
  readonly onDefect?: OnDefect | undefined
}

export interface AwaitedProgram {
  readonly isExpected: () => boolean
  /** Once, when it is there or not to be expected any more; returns how to stop waiting. */
  readonly whenReached: (then: () => void) => () => void
}

/** Calls that wait for a program's link. */
const maxWaiting = 1_024

export class ProgramEndpoint implements EndpointTransport {
  readonly #options: ProgramEndpointOptions
  readonly connections = 0
  readonly #held = new Set<HeldStream>()
  #stopWaiting: (() => void) | undefined = undefined

  constructor(options: ProgramEndpointOptions) {
    this.#options = options
  }

  get waiting(): number {
    return this.#held.size
  }

  open(call: Call, fields: Fields, receiver: ResponseReceiver): EndpointStream {
    const { onDefect, places, program } = this.#options
    const { head } = call
    if (head === undefined || head.method === "CONNECT") {
      const what = "takes HTTP requests, and no tunnels: it has no port"
      return refuse(receiver, this.#fault("bad_request", what), onDefect)
    }
    const dispatch = program()
    if (dispatch === undefined) {
      const { awaited } = this.#options
      if (awaited?.isExpected() === true && this.#held.size < maxWaiting) {
        return this.#hold(call, fields, receiver, awaited)
      }
      const what = "does not serve it any more"
      return refuse(receiver, this.#fault("upstream_connect", what), onDefect)
    }
    if (!this.#hasRoom()) {
      const what = `has ${places.most} requests in work, which is the limit`
      return refuse(receiver, this.#fault("overflow", what), onDefect)
    }
    const forwarded = fields === head.fields ? call : { ...call, head: { ...head, fields } }
    return new ProgramStream(dispatch(forwarded, receiver))
  }

  /** What runs goes on; that nothing new comes is its node's to see to. */
  retire(): void {
    this.#release((held) => {
      held.waiting.fail(this.#fault("upstream_connect", "does not serve it any more"))
    })
  }

  /**
   * Two that come at once for the last place in two threads find one too many, both of them: each gives its own
   * back, and one gets it. Whoever does not has one all the same, until its refusal is over.
   */
  #hasRoom(): boolean {
    const { places } = this.#options
    if (places.taken <= places.most) return true
    places.give()
    if (places.take()) return true
    places.takeAnyway()
    return false
  }

  #hold(
    call: Call,
    fields: Fields,
    receiver: ResponseReceiver,
    { whenReached }: AwaitedProgram
  ): EndpointStream {
    const { connectTimeout, ticker } = this.#options
    const limit = call.connectTimeout ?? connectTimeout
    const timed = { ...call, connectTimeout: limit }
    const held = new HeldStream(timed, ticker.now(), fields, receiver, () => this.#leave(held))
    this.#held.add(held)
    held.waiting.timer = ticker.after(limit, () => {
      this.#leave(held)
      const what = `has no link to this thread, and made none within ${limit} ms`
      held.waiting.fail(this.#fault("upstream_connect", what))
    })
    this.#stopWaiting ??= whenReached(() => {
      this.#release((one) => {
        one.begin(this, ticker.now(), (error) =>
          this.#fault("upstream_reset", `was not called: ${String(error)}`)
        )
      })
    })
    return held
  }

  #leave(held: HeldStream): void {
    this.#held.delete(held)
    if (this.#held.size === 0) this.#stop()
  }

  #release(each: (held: HeldStream) => void): void {
    this.#stop()
    const all = [...this.#held]
    this.#held.clear()
    for (const held of all) each(held)
  }

  #stop(): void {
    this.#stopWaiting?.()
    this.#stopWaiting = undefined
  }

  #fault(code: Fault["code"], what: string): Fault {
    const { node, service } = this.#options
    return { code, message: `the program of ${service} ${what}`, node, service, sent: false }
  }
}

/** The program has it as soon as it is there. */
class ProgramStream implements EndpointStream {
  readonly sent = true
  readonly #stream: RequestStream

  constructor(stream: RequestStream) {
    this.#stream = stream
  }

  write(chunk: Uint8Array): boolean {
    return this.#stream.write(chunk)
  }

  end(trailers: Fields): void {
    this.#stream.end(trailers)
  }

  cancel(fault: Fault): void {
    this.#stream.cancel(fault)
  }

  resume(): void {
    this.#stream.resume()
  }
}
