/**
 * The port that other nodes dial. The mesh threads' connections (libp2p's) and those of request
 * threads (LinkPreface.ts) come to the same one; the first byte says which it is. With `reusePort`
 * each thread of a node listens on it, and the system spreads what comes over them.
 */
import net from "node:net"
import { type OnDefect, uncontained } from "../../model/Defect.ts"
import type { Ticker } from "../../model/Time.ts"
import { linkReadMemory } from "../socket/ReadMemory.ts"
import { SocketGuard } from "../socket/SocketGuard.ts"
import { SocketReads } from "../socket/SocketReads.ts"
import { prefaceFirstByte } from "../wire/LinkPreface.ts"
import { Doorstep } from "./Doorstep.ts"
import { FirstWords } from "./FirstWords.ts"
import { MeshPortError, meshPortError } from "./MeshPortError.ts"
import { Newcomers } from "./Newcomers.ts"
import { parseTcpAddress, type TcpAddress, tcpAddressOf } from "./TcpAddress.ts"

/** Of libp2p's first words: the length of `/multistream/1.0.0\n`. */
const multistreamFirstByte = 0x13

/** Where those wait that are turned away: no longer than a dialler's patience. */
const doorstep = { most: 128, wait: 1_000 }

/** Behind that, ms. */
const leastPause = 100

/** A connection that has shown what it is. */
export interface SortedConnection {
  readonly socket: net.Socket
  /** What reads it: `onBytes` is to be set before whoever takes the connection returns. */
  readonly reads: SocketReads
  /** What has been read and not answered, all of it; the bytes are good until then. */
  readonly first: Buffer
}

export interface MeshPortOptions {
  /** `/ip4|ip6/ADDRESS/tcp/PORT`; port 0 takes a free one. */
  readonly listen: ReadonlyArray<string>
  /** Others of this process listen there as well. Port 0 is then a port of this one's own. */
  readonly reusePort: boolean
  readonly ticker: Ticker
  /** Connections that have not said what they are, at a time. Default 1,024; the oldest makes room. */
  readonly undecided?: number
  /** How long one may take to say it, ms. Default 2,000. */
  readonly patience?: number
  /** A request thread of another node. */
  readonly onLink: (connection: SortedConnection) => void
  /** Asks for a handshake of libp2p's: for the mesh thread. */
  readonly foreign: (connection: SortedConnection) => void
  /** One has come from there that asks for a handshake: in how many ms it is to come back; 0: it is handed on. */
  readonly turnsAway?: ((address: string) => number) | undefined
  /** Hears of what throws as a connection is handed on: it costs that connection. */
  readonly onDefect?: OnDefect | undefined
  /** A connection could not be accepted, for want of descriptors mostly: who dialled comes again. */
  readonly onTrouble?: (error: Error) => void
}

/** Since the start. */
export interface MeshPortCounts {
  readonly accepted: number
  /** Began with neither a preface nor what asks for a handshake. */
  readonly strange: number
  /** Did not say what they are in time. */
  readonly silent: number
  /** Made room for others before they had. */
  readonly displaced: number
  /** Told to come back, for what others from there did. */
  readonly turnedAway: number
}

export class MeshPort {
  readonly #options: MeshPortOptions
  readonly #servers: ReadonlyArray<net.Server>
  readonly #newcomers: Newcomers
  readonly #doorstep: Doorstep
  #accepted = 0
  #strange = 0
  #turnedAway = 0

  /** Opens all addresses or none; rejects with a MeshPortError. */
  static async open(options: MeshPortOptions): Promise<MeshPort> {
    const addresses = options.listen.map(listenAddress)
    const port = new MeshPort(options, addresses.length)
    const opened = await Promise.allSettled(addresses.map((address, i) => port.#open(address, i)))
    const failed = opened.find((it) => it.status === "rejected")
    if (failed === undefined) return port
    await port.close()
    throw failed.reason
  }

  private constructor(options: MeshPortOptions, servers: number) {
    this.#options = options
    const { undecided: most = 1_024, patience = 2_000, ticker } = options
    this.#newcomers = new Newcomers(ticker, { most, patience })
    this.#doorstep = new Doorstep(ticker, doorstep)
    // Halves of a link do not end on their own: a socket answers a FIN with its own.
    const server = { noDelay: true, keepAlive: true, pauseOnConnect: true }
    this.#servers = Array.from({ length: servers }, () =>
      net.createServer(server, (socket) => this.#onSocket(socket))
    )
  }

  /** Where it is open, with the ports it got; 0.0.0.0 and :: as they are. */
  get addresses(): ReadonlyArray<string> {
    return this.#servers.flatMap((server) => {
      const bound = server.address()
      if (bound === null || typeof bound === "string") return []
      return [tcpAddressOf(bound.address, bound.port)]
    })
  }

  get counts(): MeshPortCounts {
    const { late: silent, displaced } = this.#newcomers
    const [accepted, strange, turnedAway] = [this.#accepted, this.#strange, this.#turnedAway]
    return { accepted, strange, silent, displaced, turnedAway }
  }

  /** Takes nothing more; what it has handed on stays. */
  async close(): Promise<void> {
    const closed = this.#servers.map(
      (server) => new Promise<void>((resolve) => server.close(() => resolve()))
    )
    this.#newcomers.close()
    this.#doorstep.close()
    await Promise.all(closed)
  }

  #open({ text, host, port, family }: TcpAddress, at: number): Promise<void> {
    const server = this.#servers[at]!
    const { reusePort } = this.#options
    return new Promise((resolve, reject) => {
      const onError = (error: Error): void => reject(meshPortError(text, error))
      server.once("error", onError)
      server.listen({ host, port, ipv6Only: family === 6, ...(reusePort && { reusePort }) }, () => {
        server.removeListener("error", onError)
        server.on("error", (error) => this.#options.onTrouble?.(error))
        resolve()
      })
    })
  }

  #pauseOf({ remoteAddress }: net.Socket): number {
    return remoteAddress === undefined ? 0 : (this.#options.turnsAway?.(remoteAddress) ?? 0)
  }

  #onSocket(accepted: net.Socket): void {
    const reads = new SocketReads(linkReadMemory)
    const socket = reads.accept(accepted)
    if (socket.remoteAddress === undefined) {
      socket.destroy() // it is gone again
      return
    }
    this.#accepted++
    const { foreign, onLink } = this.#options
    const leave = this.#newcomers.add(socket)
    const onError = (): void => undefined // `close` follows
    socket.on("error", onError)
    const guard = new SocketGuard(this.#options.onDefect ?? uncontained, "the port for other nodes")
    guard.watch(socket)
    const take = (whose: (connection: SortedConnection) => void, first: Buffer): void => {
      leave()
      reads.onBytes = () => undefined
      whose({ socket, reads, first })
      socket.removeListener("error", onError)
    }
    reads.onBytes = guard.handler((first) => {
      if (first[0] === prefaceFirstByte) take(onLink, first)
      else if (first[0] !== multistreamFirstByte) this.#refuse(socket)
      else {
        const words = new FirstWords()
        reads.onBytes = guard.handler((bytes) => {
          const { asks, reply } = words.take(bytes)
          if (reply.length > 0) socket.write(reply)
          if (asks === "nothing") this.#refuse(socket)
          if (asks !== "handshake") return
          const pause = this.#pauseOf(socket)
          take(pause > 0 ? () => this.#turnAway(socket, words, pause) : foreign, words.unanswered)
        })
        reads.onBytes(first)
      }
    })
  }

  /** What it says from now on is not read. */
  #turnAway(socket: net.Socket, words: FirstWords, pause: number): void {
    this.#turnedAway++
    socket.on("error", () => undefined)
    socket.pause()
    this.#doorstep.add(socket, words.busy(Math.max(leastPause, pause - doorstep.wait)))
  }

  #refuse(socket: net.Socket): void {
    this.#strange++
    socket.resetAndDestroy()
  }
}

const listenAddress = (text: string): TcpAddress => {
  const address = parseTcpAddress(text)
  if (address !== undefined && text.startsWith("/ip")) return address
  const why = "write /ip4/ADDRESS/tcp/PORT or /ip6/ADDRESS/tcp/PORT"
  throw new MeshPortError("bad_multiaddr", text, why)
}
