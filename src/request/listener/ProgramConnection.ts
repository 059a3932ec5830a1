/**
 * A connection of a program of this host: its first line says whose it is and which end opens exchanges
 * on it (ProgramHello.ts); from then on it is a link.
 */
import type net from "node:net"
import type { AttachedProgram } from "../../model/AttachedProgram.ts"
import { type Caller, formatCaller, sameCaller } from "../../model/Caller.ts"
import type { OnDefect } from "../../model/Defect.ts"
import type { Call, Dispatch } from "../../model/Exchange.ts"
import type { PeerKey } from "../../model/Names.ts"
import { refuse } from "../../model/RefusedExchange.ts"
import type { Ticker } from "../../model/Time.ts"
import { maxProgramLinks, type ProgramLink, type Programs } from "../inbound/Programs.ts"
import { withoutUpgrades } from "../inbound/WithoutUpgrades.ts"
import { AcceptedLink } from "../link/AcceptedLink.ts"
import { DialedLink } from "../link/DialedLink.ts"
import { PlainChannel } from "../link/PlainChannel.ts"
import { breakOff } from "../socket/BreakOff.ts"
import { SocketGuard } from "../socket/SocketGuard.ts"
import { SocketReads } from "../socket/SocketReads.ts"
import { ProtocolError } from "../wire/Frame.ts"
import { http1Heads } from "../wire/Http1Heads.ts"
import { Lines } from "../wire/Lines.ts"
import {
  helloBytes,
  helloTimeout,
  isRefused,
  namingVersion,
  type ProgramHello,
  pastVersion,
  type Refused,
  readHello,
  refusalLine,
  switchingVersion
} from "../wire/ProgramHello.ts"

export interface ProgramConnectionContext {
  readonly self: { readonly peer: PeerKey; readonly node: string }
  /** Which of the request threads this is. */
  readonly thread: number
  /** The outbound stack's entrance. */
  readonly dispatch: Dispatch
  readonly programs: Programs
  readonly ticker: Ticker
  readonly onDefect: OnDefect
  readonly onRefused: (refused: Refused) => void
  readonly onClosed: (connection: ProgramConnection) => void
}

const noControl: Refused = {
  code: "bad_hello",
  message: "a program attaches at the address in `programs.listen`; this one is for its links"
}

/** The key of this host stands for its programs, as it does where they use a port. */
const nameOf = (): string => "the program"

export class ProgramConnection {
  readonly #socket: net.Socket
  readonly #reads = new SocketReads()
  readonly #context: ProgramConnectionContext
  #link: ProgramLink | undefined
  #closed = false

  /** `accepted`: paused, and nothing of it was read. */
  constructor(accepted: net.Socket, context: ProgramConnectionContext) {
    const socket = this.#reads.accept(accepted)
    this.#socket = socket
    this.#context = context
    const { onDefect, ticker } = context
    const guard = new SocketGuard(onDefect, "a connection of a program")
    guard.watch(socket)
    const lines = new Lines(helloBytes)
    const timer = ticker.after(helloTimeout, () => this.destroy())
    this.#reads.onBytes = guard.handler((bytes: Buffer) => {
      lines.push(bytes)
      const line = this.#lineOf(lines)
      if (line === undefined) return
      timer.cancel()
      this.#reads.onBytes = () => undefined
      socket.pause()
      this.#begin(line, lines.rest())
    })
    socket.on("error", () => undefined)
    socket.once("close", () => {
      timer.cancel()
      this.#onClosed()
    })
  }

  /** Nothing new is begun on it; it closes when what runs has ended. */
  drain(reason: string): void {
    if (this.#link === undefined) this.destroy()
    else this.#link.drain(reason)
  }

  destroy(): void {
    if (this.#link === undefined) breakOff(this.#socket)
    else this.#link.abort(new Error("this node is shutting down"))
  }

  /** What is too long for a hello is none, and is answered as such. */
  #lineOf(lines: Lines): string | undefined {
    try {
      return lines.next()
    } catch (error) {
      if (error instanceof ProtocolError) return ""
      throw error
    }
  }

  #begin(line: string, rest: Buffer): void {
    const hello = readHello(line)
    if (isRefused(hello) || hello.role === "control") {
      this.#refuse(isRefused(hello) ? hello : noControl)
      return
    }
    const program = this.#programOf(hello)
    if (isRefused(program)) {
      this.#refuse(program)
      return
    }
    const { thread } = this.#context
    this.#socket.write(`${JSON.stringify({ version: hello.version, thread })}\n`)
    this.#becomeLink({ ...hello, role: hello.role }, program, rest)
  }

  #programOf({ pass }: ProgramHello): AttachedProgram | Refused {
    const { programs } = this.#context
    const program = pass === undefined ? undefined : programs.find(pass)
    if (program === undefined) {
      return { code: "unknown_program", message: "no program that is attached has this pass" }
    }
    const message = `a program has ${maxProgramLinks} links to a thread at most`
    return programs.mayLink(program.id) ? program : { code: "too_many", message }
  }

  #becomeLink(
    { role, version }: ProgramHello & { readonly role: "calls" | "serves" },
    program: AttachedProgram,
    rest: Buffer
  ): void {
    const { onDefect, programs, self, ticker } = this.#context
    let gone = (): void => undefined
    const common = {
      channel: new PlainChannel({
        ...{ socket: this.#socket, reads: this.#reads, first: rest, ticker },
        onClosed: () => gone()
      }),
      ...{ ticker, heads: http1Heads, node: self.node, remote: self.peer, nameOf, onDefect }
    }
    if (role === "calls") {
      const link = new AcceptedLink({
        ...common,
        serve: this.#callsOf(program.identity, version),
        pastCircuits: version >= pastVersion
      })
      this.#link = {
        open: undefined,
        available: () => true,
        drain: (reason) => link.drain(reason),
        abort: (error) => link.abort(error)
      }
    } else {
      const link = new DialedLink({ ...common, speakers: "all" })
      this.#link = {
        open: version >= switchingVersion ? link.open : withoutUpgrades(link.open),
        available: () => link.available,
        drain: (reason) => link.drain(reason),
        abort: (error) => link.abort(error)
      }
    }
    gone = programs.link(program.id, this.#link)
  }

  /** Whatever the program says, its calls are of whom its socket grants, and of this host. */
  #callsOf(granted: Caller, version: number): Dispatch {
    const { dispatch, onDefect, self } = this.#context
    return (call, receiver) => {
      const { identity } = call
      if (identity.kind === "service" && !sameCaller(identity, granted)) {
        const message = `the program is ${formatCaller(granted)} to its node and cannot speak for ${formatCaller(identity)}: \`as\` in the node's \`programs\` says for whom programs speak`
        const { service } = call
        const fault = { code: "denied", message, node: self.node, service, sent: false } as const
        return refuse(receiver, fault, onDefect)
      }
      const { attempt, connectTimeout, deadline, endpoint, head, kind, service } = call
      // Written out, in the order in which everybody makes calls: they all have one shape.
      const own: Call = {
        kind,
        service,
        head,
        endpoint: undefined,
        caller: self.peer,
        identity: granted,
        deadline,
        attempt,
        connectTimeout
      }
      if (endpoint === undefined || version < namingVersion) return dispatch(own, receiver)
      const named: Call = { ...own, only: endpoint }
      const { pastCircuit } = call
      return dispatch(pastCircuit === true ? { ...named, pastCircuit } : named, receiver)
    }
  }

  #refuse(refused: Refused): void {
    this.#context.onRefused(refused)
    this.#socket.end(refusalLine(refused))
    // It is told, and has no more to say.
    this.#socket.resume()
    this.#context.ticker.after(helloTimeout, () => this.#socket.destroy())
  }

  #onClosed(): void {
    if (this.#closed) return
    this.#closed = true
    this.#context.onClosed(this)
  }
}
