/**
 * Byte tunnels to a program. Each half closes on its own, in either order: the end of the request
 * becomes a FIN to the program while its answer goes on, and the program's FIN ends the answer
 * while the caller may go on sending (Exchange.ts, rule 7).
 */

import type net from "node:net"
import { type OnDefect, uncontained } from "../../model/Defect.ts"
import {
  accepted,
  type Call,
  type Fields,
  noFields,
  type ResponseReceiver
} from "../../model/Exchange.ts"
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
import type { ServiceName } from "../../model/Names.ts"
import { isOwnShortage } from "../../model/OwnShortage.ts"
import { refuse } from "../../model/RefusedExchange.ts"
import { describeSocketError, hostPort, noRoom } from "../../model/SocketFailure.ts"
import type { Ticker } from "../../model/Time.ts"
import type { Timer } from "../../model/TimerWheel.ts"
import { breakOff } from "../socket/BreakOff.ts"
import { isReset, outliveWrites } from "../socket/FailedWrites.ts"
import { Linger } from "../socket/Linger.ts"
import { dialProgram, type ProgramPlace } from "../socket/ProgramDial.ts"
import { resetWhenWritten } from "../socket/ResetWhenWritten.ts"
import { type SocketLane, unlimitedSockets } from "../socket/SocketBudget.ts"
import { SocketGuard } from "../socket/SocketGuard.ts"
import type { EndpointStream, EndpointTransport } from "./EndpointStream.ts"

export interface TcpEndpointOptions extends ProgramPlace {
  readonly service: ServiceName
  /** For a call that brings no limit of its own. */
  readonly connectTimeout: number
  /** Undefined: no limit but the caller's. */
  readonly idleTimeout: number | undefined
  /** Name of this node, for faults. */
  readonly node: string
  readonly ticker: Ticker
  /** What connections to programs are taken from. Default: without a limit. */
  readonly sockets?: SocketLane
  /** Hears of what throws: it costs the connection it threw on. Default: it is thrown on. */
  readonly onDefect?: OnDefect | undefined
  /** A connection was not made. */
  readonly onConnectFailure?: () => void
}

export class TcpEndpoint implements EndpointTransport {
  readonly #options: TcpEndpointOptions
  readonly #sockets: SocketLane
  readonly #tunnels = new Set<TcpTunnel>()
  readonly waiting = 0

  constructor(options: TcpEndpointOptions) {
    this.#options = options
    this.#sockets = options.sockets ?? unlimitedSockets()
  }

  get connections(): number {
    return this.#tunnels.size
  }

  open(call: Call, _fields: Fields, receiver: ResponseReceiver): EndpointStream {
    const limit = call.connectTimeout ?? this.#options.connectTimeout
    if (!this.#sockets.take()) {
      const { service, host, port, node } = this.#options
      const message = `the program of ${service} at ${hostPort(host, port)} was not connected to: ${noRoom(this.#sockets)}`
      const fault: Fault = { code: "overflow", message, node, service, sent: false }
      return refuse(receiver, fault, this.#options.onDefect)
    }
    const tunnel = new TcpTunnel(this.#options, limit, receiver, () => {
      this.#tunnels.delete(tunnel)
      this.#sockets.give()
    })
    this.#tunnels.add(tunnel)
    return tunnel
  }

  /** Tunnels end when their parties end them. */
  retire(): void {}
}

class TcpTunnel implements EndpointStream {
  readonly #options: TcpEndpointOptions
  readonly #socket: net.Socket
  readonly #onGone: () => void
  #receiver: ResponseReceiver | undefined
  #connected = false
  #written = false
  #halves = openHalves(true)
  /** `write` returned false and nobody was told yet that there is room. */
  #stalled = false
  #lastMove: number
  /** Connecting, then idle, then closing: never more than one at a time. */
  #timer: Timer
  #cause: Error | undefined = undefined
  /** Why nothing can be written any more: the program has closed, perhaps with a last word. */
  #unwritable: Error | undefined = undefined

  constructor(
    options: TcpEndpointOptions,
    connectTimeout: number,
    receiver: ResponseReceiver,
    onGone: () => void
  ) {
    this.#options = options
    this.#receiver = receiver
    this.#onGone = onGone
    this.#lastMove = options.ticker.now()
    const guard = new SocketGuard(options.onDefect ?? uncontained, "a connection to a TCP program")
    const onOpen = guard.handler<void>(() => this.#onConnect())
    const socket = guard.watch(dialProgram(options, { allowHalfOpen: true, onOpen }))
    this.#socket = socket
    outliveWrites(socket, (error) => this.#onUnwritable(error))
    this.#timer = options.ticker.after(connectTimeout, () => {
      socket.destroy(new Error(`no connection within ${connectTimeout} ms`))
    })
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
      guard.handler(() => this.#onEnd())
    )
    socket.on("error", (error) => {
      this.#cause = error
    })
    socket.on(
      "close",
      guard.handler(() => this.#onClose())
    )
  }

  get sent(): boolean {
    return this.#connected && this.#written
  }

  write(chunk: Uint8Array): boolean {
    if (this.#receiver === undefined || isRequestEnded(this.#halves)) return true
    this.#written = true
    this.#lastMove = this.#options.ticker.now()
    if (writeOut(this.#socket, chunk)) return true
    this.#stalled = true
    return false
  }

  end(): void {
    if (this.#receiver === undefined || isRequestEnded(this.#halves)) return
    this.#halves = endRequest(this.#halves)
    this.#socket.end()
    if (isOver(this.#halves)) this.#close()
  }

  /** With a reset, so that the program does not take what it has for all there was to come. */
  cancel(): void {
    if (this.#receiver === undefined) return
    this.#receiver = undefined
    // What the caller said before it left is still the program's, also if that has not accepted yet.
    if (this.#connected || this.#written) resetWhenWritten(this.#socket, this.#options.ticker)
    else this.#socket.destroy()
  }

  resume(): void {
    if (this.#receiver !== undefined) this.#socket.resume()
  }

  #onConnect(): void {
    this.#connected = true
    this.#timer.cancel()
    this.#lastMove = this.#options.ticker.now()
    const { idleTimeout } = this.#options
    if (idleTimeout !== undefined) this.#watchIdle(idleTimeout, idleTimeout)
    this.#receiver?.onHead(accepted)
  }

  /** One timer for the tunnel's life instead of one per chunk: it looks how long ago the last was. */
  #watchIdle(delay: number, idleTimeout: number): void {
    const { ticker } = this.#options
    this.#timer = ticker.after(delay, () => {
      const left = this.#lastMove + idleTimeout - ticker.now()
      if (left > 0) return this.#watchIdle(left, idleTimeout)
      this.#fail("upstream_timeout", `moved no byte in either direction for ${idleTimeout} ms`)
      breakOff(this.#socket)
    })
  }

  #onData(chunk: Buffer): void {
    this.#lastMove = this.#options.ticker.now()
    lend(chunk)
    if (this.#receiver?.onData(chunk) === false) this.#socket.pause()
  }

  #onDrain(): void {
    this.#lastMove = this.#options.ticker.now()
    if (!this.#stalled) return
    this.#stalled = false
    this.#receiver?.onWritable()
  }

  /** What the program said before it closed is still to be read. */
  #onUnwritable(error: Error): void {
    this.#unwritable = error
    if (isResponseEnded(this.#halves)) this.#socket.destroy(error)
  }

  #onEnd(): void {
    const receiver = this.#receiver
    if (receiver === undefined) return
    const unwritable = this.#unwritable
    if (unwritable !== undefined && isReset(unwritable)) {
      this.#socket.destroy(unwritable)
      return
    }
    this.#halves = endResponse(this.#halves)
    if (isOver(this.#halves)) this.#close()
    receiver.onEnd(noFields)
    // It takes none of what the caller goes on to say.
    if (unwritable !== undefined) this.#socket.destroy(unwritable)
  }

  /** Both halves have ended. */
  #close(): void {
    this.#receiver = undefined
    this.#timer.cancel()
    this.#timer = new Linger(this.#socket, this.#options.ticker)
  }

  #onClose(): void {
    this.#timer.cancel()
    this.#onGone()
    if (this.#receiver === undefined) return
    const cause = this.#cause === undefined ? "it closed" : describeSocketError(this.#cause)
    if (this.#connected) this.#fail("upstream_reset", `broke off: ${cause}`)
    else if (isOwnShortage(this.#cause)) {
      this.#fail("overflow", `was not connected to: ${cause}`)
    } else {
      this.#options.onConnectFailure?.()
      this.#fail("upstream_connect", `could not be connected to: ${cause}`)
    }
  }

  #fail(code: Fault["code"], what: string): void {
    const receiver = this.#receiver
    if (receiver === undefined) return
    this.#receiver = undefined
    const { service, host, port, node } = this.#options
    receiver.onFault({
      code,
      message: `the program of ${service} at ${hostPort(host, port)} ${what}`,
      node,
      service,
      sent: this.sent
    })
  }
}
