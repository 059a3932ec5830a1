/**
 * An exchange for a peer to which a link is being made. It holds the few chunks its caller may
 * still hand over (rule 5) and becomes a thin forwarder once there is a link.
 */
import type {
  Call,
  Dispatch,
  Fields,
  RequestStream,
  ResponseReceiver
} from "../../model/Exchange.ts"
import type { Fault } from "../../model/Fault.ts"
import type { Timer } from "../../model/TimerWheel.ts"

/** Never 0, which would be no time at all. */
const left = (limit: number | undefined, waited: number): number | undefined =>
  limit === undefined ? undefined : Math.max(1, limit - waited)

export class WaitingExchange implements RequestStream {
  readonly call: Call
  /** When the wait began. */
  readonly since: number
  #receiver: ResponseReceiver | undefined
  #stream: RequestStream | undefined = undefined
  #chunks: Array<Uint8Array> = []
  #trailers: Fields | undefined = undefined
  #onOver: (() => void) | undefined
  /** Ends the wait, or has the caller asked whether it is to go on. */
  timer: Timer | undefined = undefined
  /** It waits for longer than it was to, since its caller has nowhere else to go. */
  isLate = false

  /** `onOver` is called when the caller cancels while waiting. */
  constructor(call: Call, since: number, receiver: ResponseReceiver, onOver: () => void) {
    this.call = call
    this.since = since
    this.#receiver = receiver
    this.#onOver = onOver
  }

  get unlinked(): boolean {
    return this.#stream === undefined || this.#stream.unlinked === true
  }

  /**
   * There is a link: from now on this only forwards. The call's times go on where they are, but that one
   * which waited beyond its time for a connection has all of it for the one to the program.
   * `failed`: something threw, and this is what the caller is told.
   */
  begin(open: Dispatch, now: number, failed: (call: Call, error: unknown) => Fault): void {
    const receiver = this.#leave()
    if (receiver === undefined) return
    try {
      this.#forward(open, now, receiver)
    } catch (error) {
      const fault = failed(this.call, error)
      this.#chunks = []
      this.#stream?.cancel(fault)
      receiver.onFault(fault)
    }
  }

  #forward(open: Dispatch, now: number, receiver: ResponseReceiver): void {
    const { connectTimeout, deadline } = this.call
    const waited = now - this.since
    const stream = open(
      {
        ...this.call,
        connectTimeout: this.isLate ? connectTimeout : left(connectTimeout, waited),
        deadline: left(deadline, waited)
      },
      receiver
    )
    this.#stream = stream
    const chunks = this.#chunks
    this.#chunks = []
    let more = true
    for (const chunk of chunks) more = stream.write(chunk)
    if (this.#trailers !== undefined) stream.end(this.#trailers)
    // The caller was told to stop; if the link did not say so itself, it is on us to go on.
    else if (chunks.length > 0 && more) receiver.onWritable()
    if (!this.unlinked) receiver.onLinked?.()
  }

  /** There is no link in time. Whether it goes on waiting: its caller may have nowhere else to go. */
  goesOn(fault: Fault): boolean {
    const mayWait = this.#receiver?.onLate?.(fault) === true
    // Who went elsewhere has cancelled it.
    this.isLate = mayWait && this.#receiver !== undefined
    return this.isLate
  }

  fail(fault: Fault): void {
    this.#leave()?.onFault(fault)
    this.#chunks = []
  }

  write(chunk: Uint8Array): boolean {
    if (this.#stream !== undefined) return this.#stream.write(chunk)
    if (this.#receiver !== undefined) this.#chunks.push(chunk)
    return false
  }

  end(trailers: Fields): void {
    if (this.#stream !== undefined) this.#stream.end(trailers)
    else this.#trailers = trailers
  }

  cancel(fault: Fault): void {
    if (this.#stream !== undefined) {
      this.#stream.cancel(fault)
      return
    }
    const onOver = this.#onOver
    if (this.#leave() === undefined) return
    this.#chunks = []
    onOver?.()
  }

  resume(): void {
    this.#stream?.resume()
  }

  #leave(): ResponseReceiver | undefined {
    const receiver = this.#receiver
    this.#receiver = undefined
    this.#onOver = undefined
    this.timer?.cancel()
    this.timer = undefined
    return receiver
  }
}
