/**
 * One connection of a local application to a fixed port: a byte tunnel to a service. Its FIN
 * becomes the end of the request while the answer goes on; the end of the answer becomes a FIN.
 * A fault becomes a reset, so that nobody takes what has come for all there was.
 */

import type net from "node:net"
import type { OnDefect } from "../../model/Defect.ts"
import type { Call, Dispatch, RequestStream, ResponseReceiver } from "../../model/Exchange.ts"
import { noFields } from "../../model/Exchange.ts"
import type { Fault } from "../../model/Fault.ts"
import {
  endRequest,
  endResponse,
  isOver,
  isRequestEnded,
  isResponseEnded,
  openHalves
} from "../../model/Halves.ts"
import { lend, writeOut } from "../../model/Loan.ts"
import type { Ticker } from "../../model/Time.ts"
import type { Timer } from "../../model/TimerWheel.ts"
import { breakOff } from "../socket/BreakOff.ts"
import { isReset, outliveWrites } from "../socket/FailedWrites.ts"
import { Linger } from "../socket/Linger.ts"
import { resetWhenWritten } from "../socket/ResetWhenWritten.ts"
import { SocketGuard } from "../socket/SocketGuard.ts"
import { askForReset, askInterval } from "../socket/UnreadSocket.ts"
import type { Begun } from "./FirstBytes.ts"

export interface TcpConnectionOptions {
  readonly call: Call
  readonly dispatch: Dispatch
  readonly ticker: Ticker
  readonly onDefect: OnDefect
  /** Name of this node, for faults. */
  readonly node: string
  readonly onFault: (fault: Fault, client: string) => void
  readonly onClosed: (connection: TcpConnection) => void
  /** What has been read of it already. Default: nothing. */
  readonly begun?: Omit<Begun, "socket"> | undefined
}

export class TcpConnection implements ResponseReceiver {
  readonly #socket: net.Socket
  readonly #options: TcpConnectionOptions
  readonly #client: string
  /** Undefined when the exchange is over. */
  #stream: RequestStream | undefined
  /** `onData` returned false and the callee was not told yet that there is room. */
  #stalled = false
  #closing: Timer | undefined = undefined
  /** Runs while the client is not read, and at most once longer. */
  #asking: Timer | undefined = undefined
  #halves = openHalves(true)
  /** Why nothing can be written any more: the client has closed, perhaps with a last word. */
  #unwritable: Error | undefined = undefined

  /** `socket`: accepted, and paused. */
  constructor(socket: net.Socket, options: TcpConnectionOptions) {
    this.#socket = socket
    this.#options = options
    this.#client = `${socket.remoteAddress ?? "unknown"}:${socket.remotePort ?? 0}`
    outliveWrites(socket, (error) => this.#onUnwritable(error))
    const guard = new SocketGuard(options.onDefect, "a connection of a TCP client")
    guard.watch(socket)
    socket.on(
      "data",
      guard.handler((chunk: Buffer) => this.#onData(chunk))
    )
    socket.on(
      "drain",
      guard.handler(() => this.#onDrain())
    )
    socket.on(
      "end",
      guard.handler(() => this.#onSocketEnd())
    )
    // What follows an error is `close`, which is where it is dealt with.
    socket.on("error", () => undefined)
    socket.on(
      "close",
      guard.handler(() => this.#onClose())
    )
    try {
      this.#stream = options.dispatch(options.call, this)
      const { begun } = options
      if (begun !== undefined && begun.bytes.length > 0) this.#onData(begun.bytes)
      if (begun?.ended === true) this.#onSocketEnd()
      // Where its service has taken enough for now, it is read on when that says so.
      if (this.#asking === undefined) socket.resume()
    } catch (error) {
      guard.failed(error)
    }
  }

  /** Ends it now, e.g. because the node stops. */
  destroy(): void {
    const { node, call, onFault } = this.#options
    const message = `node ${node} stopped while the tunnel was open`
    const fault: Fault = { code: "draining", message, node, service: call.service, sent: true }
    try {
      if (this.#stream !== undefined) onFault(fault, this.#client)
      this.#cancel(fault)
    } finally {
      breakOff(this.#socket)
    }
  }

  #onData(chunk: Buffer): void {
    lend(chunk)
    if (this.#stream?.write(chunk) === false) this.#pause()
  }

  onInfo(): void {}
  onHead(): void {}

  onData(chunk: Uint8Array): boolean {
    const room = writeOut(this.#socket, chunk)
    if (!room) this.#stalled = true
    return room
  }

  /** The client may go on sending. */
  onEnd(): void {
    this.#halves = endResponse(this.#halves)
    this.#socket.end()
    if (isOver(this.#halves)) this.#over()
  }

  onFault(fault: Fault): void {
    this.#stream = undefined
    this.#options.onFault(fault, this.#client)
    if (!isResponseEnded(this.#halves)) {
      resetWhenWritten(this.#socket, this.#options.ticker)
      return
    }
    // The answer was whole and still goes out. Then the system resets what the client sends.
    this.#closing = new Linger(this.#socket, this.#options.ticker)
    this.#socket.destroySoon()
  }

  onWritable(): void {
    this.#socket.resume()
  }

  #pause(): void {
    this.#socket.pause()
    if (this.#asking === undefined) this.#askLater()
  }

  #askLater(): void {
    this.#asking = this.#options.ticker.after(askInterval, () => {
      this.#asking = undefined
      if (!this.#socket.isPaused()) return
      askForReset(this.#socket)
      this.#askLater()
    })
  }

  /**
   * What the client said before it closed is still to be read, unless its service takes nothing
   * anyway: then nobody waits for it.
   */
  #onUnwritable(error: Error): void {
    this.#unwritable = error
    if (isRequestEnded(this.#halves) || this.#socket.isPaused()) this.#socket.destroy(error)
  }

  #onSocketEnd(): void {
    const unwritable = this.#unwritable
    if (unwritable !== undefined && isReset(unwritable)) {
      this.#socket.destroy(unwritable)
      return
    }
    this.#halves = endRequest(this.#halves)
    this.#stream?.end(noFields)
    if (isOver(this.#halves)) this.#over()
    else if (unwritable !== undefined) this.#socket.destroy(unwritable)
  }

  /** Both halves have ended: the socket closes once the client has taken the rest. */
  #over(): void {
    this.#stream = undefined
    this.#closing = new Linger(this.#socket, this.#options.ticker)
  }

  #onDrain(): void {
    if (!this.#stalled) return
    this.#stalled = false
    this.#stream?.resume()
  }

  #onClose(): void {
    this.#closing?.cancel()
    this.#asking?.cancel()
    const { node, call } = this.#options
    const message = `${this.#client} closed its connection`
    try {
      this.#cancel({ code: "client_gone", message, node, service: call.service, sent: true })
    } finally {
      this.#options.onClosed(this)
    }
  }

  #cancel(fault: Fault): void {
    const stream = this.#stream
    this.#stream = undefined
    stream?.cancel(fault)
  }
}
